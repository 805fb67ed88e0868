# shellcheck shell=sh
# GPUs, their drivers and devices. Only sent if ollama_gpu is set.
echo @@gpu
for device in /sys/bus/pci/devices/*; do
  case $(cat "$device/class" 2>/dev/null) in
    # Display controllers, and accelerators without a display.
    0x03* | 0x12*) echo "pci $(cat "$device/vendor") $(basename "$(readlink "$device/driver")")" ;;
  esac
done
# In a container, the node's, too: whatever /dev has of it.
for node in /sys/class/drm/renderD*; do
  [ -e "$node" ] || continue
  memory=$(cat "$node/device/mem_info_vram_total" 2>/dev/null)
  echo "render ${node##*/} $(cat "$node/device/vendor" 2>/dev/null || echo -) ${memory:-0}"
done
[ ! -d /sys/class/kfd/kfd ] || echo kfd
for device in /dev/nvidia[0-9]* /dev/nvidiactl /dev/nvidia-uvm /dev/nvidia-uvm-tools /dev/kfd /dev/dri/renderD*; do
  [ ! -c "$device" ] || stat -c 'device %n %u' "$device"
done
sed -n 's/^NVRM version: .*Kernel Module[^0-9]*\([0-9][0-9.]*\).*/module \1/p' /proc/driver/nvidia/version 2>/dev/null
if command -v nvidia-smi >/dev/null; then
  timeout 30 nvidia-smi --query-gpu=index,uuid,driver_version,memory.total,name --format=csv,noheader,nounits 2>&1 | sed 's/^/smi /'
fi
