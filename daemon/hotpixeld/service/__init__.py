"""The service: the daemon's loop, and all that is systemd's.

- `daemon`: the loop of `hotpixeld run`, signals, the pause on a full disk; start here.
- `systemd`: what systemd hears from the daemon: ready, status, progress.
- `logs`: journal and standard error, and the limit on repeated faults.
- `sandbox`: which folders the unit opens and hides, and which are closed to the daemon.
- `report_process`: the report that the daemon keeps current, made by a process of its own.
- `reasons`: why photos were not used, by kind, in words, with what to do.
- `notify`: what is new goes to everybody who is to be told, each event once.
- `receivers`: who that is: a command, Apprise addresses, addresses that are asked for.
- `metrics`: figures for Prometheus.
- `status_file`: the status that the daemon publishes, and that any user may read.

May import the engine and what is below it; only `cli` imports it.

To change what a full disk does: `daemon.Pause`; which errors of an output folder count as
that: `files.DISK_FAULTS` and `repair_pass.RepairPass._end`.  To add a journal field: `logs.FIELDS`;
a kind of message: `messages.MessageId` and ``deploy/hotpixeld.catalog``.
"""
