# shellcheck shell=sh
# Probe what Docker needs in a container (on a machine: nothing). Everything created is removed again.
echo @@container
container=$(systemd-detect-virt --container 2>/dev/null)
if [ -n "$container" ] && [ "$container" != none ]; then
  echo "kind $container"
  echo "uids $(head -n 1 /proc/self/uid_map)"
  if [ -d /dev/.lxc/proc ]; then echo nesting; fi
  # runc mounts /proc for every container; here in a separate mount namespace. By mount(2), as runc does:
  # AppArmor in an LXC container without nesting blocks that, but not the calls of current mount programs.
  said=$(LC_ALL=C LIBMOUNT_FORCE_MOUNT2=always unshare --mount --pid --fork mount -t proc proc /var/lib 2>&1) && said=ok
  echo "proc $(echo "$said" | head -n 1)"
  # Hosts have perl (essential in Debian), and no other tool for system calls. Since runc 1.2.8 and 1.3.3, a sysctl
  # is opened like this (runc#4968): fsopen, fsconfig, fsmount, openat, and again through /proc/self/fd. Nothing is written.
  perl -e '
    my $x86 = `uname -m` =~ /^x86_64/;
    printf "keyctl %d\n", syscall($x86 ? 250 : 219, 0, -3, 0) < 0 ? $! + 0 : 0;
    my ($type, $path) = ("proc", "sys/net/ipv4/ip_unprivileged_port_start");
    my $context = syscall(430, $type, 1);
    exit if $context < 0 or syscall(431, $context, 6, 0, 0, 0) < 0;
    my $mount = syscall(432, $context, 1, 14);
    exit if $mount < 0;
    my $file = syscall($x86 ? 257 : 56, $mount, $path, 0x280000, 0);
    printf "sysctl %d\n", $file >= 0 && sysopen(my $again, "/proc/self/fd/$file", 1) ? 0 : $! + 0;
  ' 2>/dev/null
  # An installed Docker has already chosen its storage driver.
  if ! command -v dockerd >/dev/null; then
    # Its images are in one of these.
    for part in /var/lib/docker: /var/lib/containerd:images_; do
      at=${part%:*} part=${part#*:}
      while [ ! -e "$at" ]; do at=$(dirname "$at"); done
      echo "${part}storage $(stat -f -c %T "$at")"
      if made=$(mktemp -d "$at/.hearth-XXXXXX" 2>/dev/null); then
        mkdir "$made/lower" "$made/upper" "$made/work" "$made/merged"
        layers="lowerdir=$made/lower,upperdir=$made/upper,workdir=$made/work"
        said=$(LC_ALL=C unshare --mount mount -t overlay -o "$layers" overlay "$made/merged" 2>&1) && said=ok
        echo "${part}overlay $(echo "$said" | head -n 1)"
        rm -rf "$made"
      fi
    done
  fi
fi
