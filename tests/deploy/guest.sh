#!/bin/sh
# Become the init of a guest: what `machine.py` starts in namespaces of its own.
#   guest.sh FOLDER LOWER    FOLDER/up and FOLDER/work keep what the guest writes
#
# The guest's root is the file system LOWER (this machine's is /), seen through an overlay:
# nothing that it writes stays.
set -eu
base=$1
lower=$2
root=$base/root
mkdir -p "$root"
mount -t overlay -o "lowerdir=$lower,upperdir=$base/up,workdir=$base/work" overlay "$root"
mount -t proc proc "$root/proc"
# /proc/sys belongs to the host: sysctls have no namespace.
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 run "$root/run"
mkdir "$root/run/lock"
mount -t tmpfs -o mode=1777 tmp "$root/tmp"
mount -t tmpfs -o mode=755 dev "$root/dev"
for device in null zero full random urandom tty; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm" "$root/dev/mqueue"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s fd/0 "$root/dev/stdin"
ln -s fd/1 "$root/dev/stdout"
ln -s fd/2 "$root/dev/stderr"
# In a container these are mounts, which an overlay does not see.
for file in /etc/resolv.conf /etc/hosts; do
    if [ -s "$file" ] && ! cmp -s "$file" "$root$file"; then
        rm -f "$root$file"
        cat "$file" >"$root$file"
    fi
done
hostname guest
: >"$root/etc/fstab"
if [ ! -e "$base/up/etc/machine-id" ]; then
    tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
    # Nothing of what this machine starts, but what is enabled in the guest.
    rm -rf "$root"/etc/systemd/system/*.wants
fi
# What needs the host's devices or the network, or would only cost time.
for unit in systemd-sysctl.service systemd-modules-load.service systemd-udevd.service \
    systemd-udev-trigger.service systemd-remount-fs.service systemd-timesyncd.service \
    systemd-random-seed.service systemd-hwdb-update.service ldconfig.service \
    systemd-journal-catalog-update.service modprobe@.service systemd-initctl.socket \
    dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount \
    sys-kernel-config.mount sys-fs-fuse-connections.mount systemd-binfmt.service \
    proc-sys-fs-binfmt_misc.automount systemd-networkd-wait-online.service \
    apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer man-db.timer; do
    ln -sfn /dev/null "$root/etc/systemd/system/$unit"
done
mkdir -p "$root/etc/systemd/journald.conf.d" "$root/var/log/journal"
printf '[Journal]\nStorage=persistent\nRateLimitIntervalSec=0\n' \
    >"$root/etc/systemd/journald.conf.d/guest.conf"
cd "$root"
mkdir -p .host
pivot_root . .host
umount -l /.host
# systemd does this itself, but not in what it takes for a container; without it no mount
# made later reaches a sandboxed service, as it does on a real machine.
mount --make-rshared /
exec env -i container=guest LANG=C.UTF-8 \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --system --unit=multi-user.target --show-status=0 --log-target=journal
