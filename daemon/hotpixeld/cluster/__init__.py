"""Cluster: an archive is learned by many machines, and its copies are made by them.

- `scheduler`: the connection to Dask's scheduler, or a cluster of this machine's own.
- `shards`: a scan's photos, made unique and cut by camera body, then by time.
- `storage`: state folders under names in a storage that all machines share.
- `tasks`: what runs on a worker: scan, learn a shard, merge two states, make copies.
- `copies`: copies that workers write, and the ledger here names.
- `archive`: the coordinator: photos to shards to states, joined into the state here.

It imports `engine` and all below it; nothing but `cli` imports it, and Dask and fsspec (the
extra ``[cluster]``) are loaded by it alone.  A task gets values and names and returns values
and names; it is pure, so that Dask may do it again where a worker was lost.  Start at
`archive.learn`.
"""
