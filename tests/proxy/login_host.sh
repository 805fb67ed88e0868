#!/bin/sh
# A host to log in to, without a machine: login_host.sh ROOT WORK PORT KEY PASSWORD
# ROOT contains sshd, sudo and several shells, and is not changed; writes go to memory. sshd listens on 127.0.0.1, PORT, and
# lets everybody in whose key is in the file KEY. Everything is in German, as on a host that was set up in Germany.
# Called as root under `env -i … unshare --mount --pid --uts --fork --kill-child`, so mounts and processes disappear with
# it, however it ends. It uses the machine's network.
set -eu
root=$1 work=$2 port=$3 key=$4 password=$5
echo anmeldung >/proc/sys/kernel/hostname
mount -t tmpfs -o mode=0755 tmpfs "$work"
mkdir "$work/upper" "$work/work" "$work/root"
cp "$key" "$work/upper/authorized_keys"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$work/upper,workdir=$work/work" "$work/root"
cd "$work/root"
mkdir -p old
mount --rbind /dev dev
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts dev/pts
mount -t proc proc proc
mount -t tmpfs -o mode=0755 tmpfs run
mkdir -p var/lib/docker
mount -t tmpfs -o mode=0755 tmpfs var/lib/docker # an overlay can't be the upper directory of another one
pivot_root . old
cd /
umount --lazy /old
mkdir /run/sshd
echo '127.0.0.1 localhost anmeldung' >/etc/hosts
printf 'LANG=de_DE.UTF-8\nLANGUAGE=de\nLC_ALL=de_DE.UTF-8\n' >/etc/default/locale
for shell in dash bash zsh fish tcsh; do
  useradd --create-home --groups sudo --shell "$(command -v $shell)" $shell
  printf '%s:%s\n' $shell "$password" | chpasswd
done
# Hosts differ in what sudo passes on.
echo 'Defaults env_delete += "LC_ALL LANGUAGE"' >/etc/sudoers.d/locale
ssh-keygen -qA
cat >/etc/ssh/sshd_config.d/test.conf <<END
ListenAddress 127.0.0.1
Port $port
AuthorizedKeysFile /authorized_keys
AcceptEnv LANG LC_* LANGUAGE
END
exec 3<&0
/usr/sbin/sshd -D -e </dev/null >&2 &
# Each line of standard input is a command. The response is its exit code, the length of its output, and the output. This
# is process 1: when the caller ends, our input ends, and everything here ends with us.
while IFS= read -r command; do
  code=0
  timeout -k 5 60 sh -c "$command" >/run/output 2>&1 </dev/null || code=$?
  echo "$code $(wc -c </run/output)"
  cat /run/output
done <&3
