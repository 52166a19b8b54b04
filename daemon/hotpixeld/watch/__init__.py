"""Import folders: hints of photos that may be new, whatever happens to the folders.

- `watcher`: all folders together: events in, hints out; start here.
- `watched_folder`: one folder over time: when it is surveyed, offline, or polled.
- `survey`: one look at a folder in a thread of its own: is it there, watch it, walk
  it; the mount table says what is unplugged, and which file systems have no events.
- `walk`: the walk below a folder, and which names are never a user's photos.
- `events`: inotify, by watchdog, and the means to notice that it stopped.
- `settling`: when a file has been still for long enough to be read.

May import the words (errors, messages) and `files`: it knows nothing of photos or states.

To leave out another program's temporary files: `walk.is_ignored`.  For a file system
without events: `survey.silent`.  When a photo counts as still:
`settling.Tracker`; how long that takes is `settle_seconds` in `config.model.Folder`.
"""
