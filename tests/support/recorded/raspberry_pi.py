"""Published outputs of real Raspberry Pis, with their sources."""

from __future__ import annotations

# --- /proc/cmdline --------------------------------------------------------------------------------

# Pi 5, Raspberry Pi OS bookworm, kernel 6.12.34+rpt-rpi-2712. The firmware's options come first, those of cmdline.txt
# after two spaces. https://github.com/raspberrypi/linux/issues/6980 (2025-07-29). This kernel does count memory (cgroup
# 2), and /proc/cgroups (cgroup 1) does not show it: see CGROUPS_WITHOUT_V1.
CMDLINE_ENABLED = (
    "reboot=w coherent_pool=1M 8250.nr_uarts=1 pci=pcie_bus_safe cgroup_disable=memory numa_policy=interleave "
    "nvme.max_host_mem_size_mb=0  numa=fake=8 system_heap.max_order=0 smsc95xx.macaddr=2C:CF:67:FB:89:3C "
    "vc_mem.mem_base=0x3fc00000 vc_mem.mem_size=0x40000000  cgroup_memory=1 cgroup_enable=memory "
    "console=ttyAMA10,115200 console=tty1 root=PARTUUID=4d8097e2-02 rootfstype=ext4 fsck.repair=yes rootwait"
)
# Pi 5, Ubuntu Server 25.10, kernel 6.17.0-1003-raspi: only the firmware's option.
# https://github.com/raspberrypi/firmware/issues/2007 (2025-12-11)
CMDLINE_DISABLED = (
    "reboot=w coherent_pool=1M 8250.nr_uarts=1 pci=pcie_bus_safe cgroup_disable=memory numa_policy=interleave "
    "nvme.max_host_mem_size_mb=0  numa=fake=8 system_heap.max_order=0 smsc95xx.macaddr=2C:CF:67:33:00:FF "
    "vc_mem.mem_base=0x3fc00000 vc_mem.mem_size=0x40000000  console=ttyAMA0,115200 multipath=off "
    "dwc_otg.lpm_enable=0 console=tty1 root=LABEL=writable rootfstype=ext4 panic=10 rootwait fixrtc"
)
# Pi 5, a kernel of the 6.12 line in which cgroup_enable= had been lost: "Unknown kernel command line parameters …
# cgroup_enable=memory", and "cgroup: Disabling memory control group subsystem".
# https://github.com/raspberrypi/linux/pull/6439 (comment of 2024-12-09)
CMDLINE_NOT_OBEYED = (
    "reboot=w coherent_pool=1M 8250.nr_uarts=1 pci=pcie_bus_safe cgroup_disable=memory numa_policy=interleave  "
    "smsc95xx.macaddr=D8:3A:DD:9F:BE:95 vc_mem.mem_base=0x3fc00000 vc_mem.mem_size=0x40000000  "
    "root=PARTUUID=0008f858-02 rw rootwait console=ttyAMA4,115200 console=tty1 rootfstype=ext4 fsck.repair=yes "
    "kgdboc=ttyAMA4,115200 cpufreq.default_governor=performance net.ifnames=0 cgroup_memory=1 cgroup_enable=memory"
)
# Pi 5, a device tree whose options come last. https://github.com/raspberrypi/linux/issues/6980 (2025-07-30)
CMDLINE_OVERRULED = (
    "reboot=w coherent_pool=1M 8250.nr_uarts=1 pci=pcie_bus_safe numa_policy=interleave nvme.max_host_mem_size_mb=0  "
    "numa=fake=8 system_heap.max_order=0 smsc95xx.macaddr=D8:3A:DD:83:E8:F1 vc_mem.mem_base=0x3fc00000 "
    "vc_mem.mem_size=0x40000000  console=ttyAMA10,115200 console=tty1 root=PARTUUID=2ab63b31-02 rootfstype=ext4 "
    "fsck.repair=yes rootwait quiet splash plymouth.ignore-serial-consoles cfg80211.ieee80211_regdom=DE "
    "cgroup_enable=memory cgroup_memory=1 cgroup_disable=memory"
)

# --- /sys/fs/cgroup/cgroup.controllers, /proc/cgroups -----------------------------------------------

# Pi 5, and a machine with the memory controller. https://github.com/coder/clistat/issues/3 (2025-03-06)
CONTROLLERS_WITHOUT_MEMORY = "cpuset cpu io pids"
CONTROLLERS_WITH_MEMORY = "cpuset cpu io memory hugetlb pids rdma misc"
# Pi 5, kernel 6.12.34, where cgroup 1 has no memory controller, regardless of cgroup 2.
# https://github.com/raspberrypi/linux/issues/6980 (2025-07-29)
CGROUPS_WITHOUT_V1 = """#subsys_name\thierarchy\tnum_cgroups\tenabled
cpuset\t0\t70\t1
cpu\t0\t70\t1
cpuacct\t0\t70\t1
blkio\t0\t70\t1
devices\t0\t70\t1
freezer\t0\t70\t1
net_cls\t0\t70\t1
perf_event\t0\t70\t1
net_prio\t0\t70\t1
pids\t0\t70\t1
"""

# --- cmdline.txt ------------------------------------------------------------------------------------

# /boot/cmdline.txt, now /boot/firmware/cmdline.txt. https://github.com/raspberrypi/linux/issues/3644 (2020-10-03)
BOOT_LINE = (
    "console=serial0,115200 console=tty1 root=PARTUUID=b7e4e595-02 rootfstype=ext4 elevator=deadline fsck.repair=yes "
    "rootwait quiet splash plymouth.ignore-serial-consoles"
)
# Ubuntu on a Pi 4. https://github.com/k3s-io/k3s/issues/8890 (2024-07-01)
BOOT_LINE_UBUNTU = (
    "console=serial0,115200 multipath=off dwc_otg.lpm_enable=0 console=tty1 root=LABEL=writable rootfstype=ext4 "
    "rootwait fixrtc cfg80211.ieee80211_regdom=GB"
)

# --- /etc/os-release, and the programs' architecture--------------------------------------------------

# Raspberry Pi OS bookworm, 64 bits. https://github.com/raspberrypi/bookworm-feedback/issues/348 (2024-12-31)
OS_RELEASE_BOOKWORM = """PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION="12 (bookworm)"
VERSION_CODENAME=bookworm
ID=debian
HOME_URL="https://www.debian.org/"
SUPPORT_URL="https://www.debian.org/support"
BUG_REPORT_URL="https://bugs.debian.org/"
"""
# Raspberry Pi OS Lite trixie of 2026-06-18, 64 bits. https://github.com/openthread/ot-br-posix/issues/3579 (2026-09-05)
OS_RELEASE_TRIXIE = """PRETTY_NAME="Debian GNU/Linux 13 (trixie)"
NAME="Debian GNU/Linux"
VERSION_ID="13"
VERSION="13 (trixie)"
VERSION_CODENAME=trixie
DEBIAN_VERSION_FULL=13.6
ID=debian
HOME_URL="https://www.debian.org/"
SUPPORT_URL="https://www.debian.org/support"
BUG_REPORT_URL="https://bugs.debian.org/"
"""
# The 32-bit system, bullseye. https://github.com/raspberrypi/bookworm-feedback/issues/204 (2024-01-29)
OS_RELEASE_32_BIT = """PRETTY_NAME="Raspbian GNU/Linux 11 (bullseye)"
NAME="Raspbian GNU/Linux"
VERSION_ID="11"
VERSION="11 (bullseye)"
VERSION_CODENAME=bullseye
ID=raspbian
ID_LIKE=debian
HOME_URL="http://www.raspbian.org/"
SUPPORT_URL="http://www.raspbian.org/RaspbianForums"
BUG_REPORT_URL="http://www.raspbian.org/RaspbianBugs"
"""
# `uname -m` and `dpkg --print-architecture` of the 32-bit bookworm on a Pi 4.
# https://github.com/procount/pinn/issues/760 (2023-11-17)
KERNEL_64_PROGRAMS_32 = ("aarch64", "armhf")

# --- The board --------------------------------------------------------------------------------------

# /proc/device-tree/model, which ends with a zero byte (a root prompt follows it in the first of these).
# https://github.com/nebrius/raspi-board/issues/20 (2020-07-11), https://github.com/pikvm/kvmd/pull/153 (2023-10-24)
MODELS = ("Raspberry Pi 4 Model B Rev 1.4", "Raspberry Pi 4 Model B Rev 1.5")
# `getconf PAGESIZE` of a Pi 5 with kernel 6.12.47+rpt-rpi-2712. https://github.com/sebadob/rauthy/issues/1287
PAGE_SIZE_PI_5 = "16384"

# --- vcgencmd -----------------------------------------------------------------------------------------

# Each: get_throttled, measure_temp. A Pi 3 with a weak supply, afterwards and at that moment.
# https://github.com/raspberrypi/firmware/issues/615 (2016-06-11)
FIRMWARE_WAS_WEAK = ("throttled=0x50000", "temp=38.6'C")
FIRMWARE_WEAK = ("throttled=0x50005", "temp=38.6'C")
# No problem. https://github.com/duckietown/Software/issues/358 (2018-09-27)
FIRMWARE_WELL = ("throttled=0x0", "temp=62.3'C")
# The soft temperature limit was reached. https://github.com/raspberrypi/linux/issues/2367 (2020-08-11); no temperature
# was published with it.
FIRMWARE_WAS_HOT = ("throttled=0x80008",)

# --- Memory and swap ----------------------------------------------------------------------------------

# `top` of a Pi 500 with 8 GB and trixie, in MiB: memory, swap (a zram device of 3.9 GiB and a file).
# https://github.com/iiab/iiab/pull/4087 (2025-09-19)
MEMORY_8_GB_MIB, SWAP_MIB, ZRAM_GIB = 8059.1, 4827.5, 3.9
# `free` of a Pi 4 with 2 GB: MemTotal in kB. https://github.com/osmc/osmc/issues/700 (2022-06-16)
MEMORY_2_GB_KB = 1893276
