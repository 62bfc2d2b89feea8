#!/usr/bin/env bash
# Sets up the plugin and everything it needs in the active Python. What is there already and fits is kept.
set -Eeuo pipefail

usage() {
    cat <<'EOF'
usage: bash tools/install.sh [--tests]

Installs torch, torchvision, BasicSR 1.4.2, the other requirements and this plugin (editable) into the active Python,
version 3.10, 3.11 or 3.12. It can be run again at any time.

  --tests     also install what the tests need
  -h, --help  show this text

An installed torch is kept, with the torchvision that matches it. Otherwise the pair comes in the versions that
requirements/pinned.txt names, as do all other missing packages. Without an NVIDIA GPU the CPU build of torch is taken
where pip is offered one. pip's own settings hold throughout; to offer it an index with other builds of torch:

  PIP_EXTRA_INDEX_URL=<address of the index> bash tools/install.sh

Where torchvision's compiled operators do not load beside torch, a start-up hook in site-packages,
deconas-torchvision.pth, lets any program import torchvision without them. Run again when they load, this script
removes it.

examples:
  python3 -m venv .venv && . .venv/bin/activate && bash tools/install.sh
  bash tools/install.sh --tests && python -m pytest -n 2 --dist loadfile
EOF
}

step='start'
begin() { step=$1; printf '\n==> %s\n' "$step"; }
note() { printf '    %s\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 2; }

main() {
    local extras=''
    for argument in "$@"; do
        case $argument in
            --tests) extras='[dev]' ;;
            -h | --help) usage; exit ;;
            *) fail "unknown argument '$argument'; expected --tests or --help" ;;
        esac
    done
    cd "$(dirname "${BASH_SOURCE[0]}")/.."

    choose_python
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    trap 'printf "error: set-up stopped in the step \"%s\"; the reason stands above\n" "$step" >&2' ERR

    begin '1/5 Build tools'
    write_constraints
    install --quiet 'pip>=23' 'setuptools>=77,<82' wheel numpy cython

    begin '2/5 torch and torchvision'
    install_torch_pair
    write_constraints

    begin '3/5 BasicSR 1.4.2'
    # An isolated build would download a second torch, because BasicSR asks for one in order to be built.
    install --quiet --no-build-isolation 'basicsr==1.4.2'

    begin '4/5 The plugin and what else it needs'
    install --quiet --no-build-isolation --editable ".$extras"
    replace_opencv_without_display

    begin '5/5 Self-check'
    self_check
    printf '\nThe plugin is ready.\n'
}

choose_python() {
    python=$(command -v python || command -v python3) || fail 'no Python found; install Python 3.10, 3.11 or 3.12'
    local version
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    case $version in
        3.10 | 3.11 | 3.12) ;;
        *) fail "$python is Python $version, but BasicSR 1.4.2 needs Python 3.10, 3.11 or 3.12;" \
                'make an environment with one of these, e.g. python3.11 -m venv --clear .venv && . .venv/bin/activate' ;;
    esac
    "$python" -m pip --version >/dev/null 2>&1 ||
        fail "$python has no pip; make an environment: python3 -m venv .venv && . .venv/bin/activate"
    printf 'Installing into %s (Python %s)\n' "$("$python" -c 'import sys; print(sys.prefix)')" "$version"
}

install() {
    "$python" -m pip install --disable-pip-version-check --constraint "$scratch/constraints.txt" "$@"
}

installed_version() {
    "$python" -c 'import sys, importlib.metadata as m; print(m.version(sys.argv[1]))' "$1" 2>/dev/null || true
}

# Pins what is missing to the known-good versions, and an installed torch to itself, so that no step can replace it.
# Whatever else is installed stays free: pip keeps it as long as it fits.
write_constraints() {
    "$python" - requirements/pinned.txt >"$scratch/constraints.txt" <<'EOF'
import sys
from importlib.metadata import PackageNotFoundError, version

for line in open(sys.argv[1]):
    name = line.partition('==')[0]
    if line.startswith(('#', '\n', 'torchvision==')):
        continue
    try:
        found = version(name)
    except PackageNotFoundError:
        print(line, end='')
    else:
        if name == 'torch':
            print(f'torch=={found}')
EOF
}

install_torch_pair() {
    local torch
    torch=$(installed_version torch)
    if [[ -n $torch ]]; then
        note "torch $torch is installed and stays"
        # Older releases of torchvision do not say which torch they belong to.
        install --quiet "torch==$torch" 'torchvision>=0.19' ||
            fail "pip finds no torchvision for torch $torch; install a matching pair yourself," \
                 "or run 'python -m pip uninstall torch torchvision' and this script again"
        return
    fi
    torch=$(best_build torch)
    if has_nvidia_gpu; then
        note 'An NVIDIA GPU is here: taking the build with CUDA (about 3 GB)'
    elif [[ $torch == *+cpu ]]; then
        note 'No NVIDIA GPU is here: taking the CPU build (about 0.2 GB)'
    else
        note 'No NVIDIA GPU is here, but pip is offered no CPU build: taking the ordinary one (see --help)'
    fi
    install "$torch" "$(best_build torchvision)"
}

has_nvidia_gpu() {
    [[ "$(nvidia-smi -L 2>/dev/null)" == *GPU* ]]
}

# pip by itself prefers any build with a local version, "+cpu" or "+cu130", to the one without.
best_build() {
    local pinned build
    pinned=$(grep "^$1==" requirements/pinned.txt)
    if has_nvidia_gpu; then build="$pinned,!=${pinned#*==}+cpu"; else build="$pinned+cpu"; fi
    if install --quiet --dry-run --no-deps "$build" >/dev/null 2>&1; then echo "$build"; else echo "$pinned"; fi
}

# opencv-python wants libGL, which machines without a display often lack. The headless build is the same OpenCV.
replace_opencv_without_display() {
    local error
    if error=$("$python" -c 'import cv2' 2>&1); then return; fi
    [[ $error == *'cannot open shared object file'* ]] || fail "OpenCV cannot be imported: ${error##*$'\n'}"
    note 'OpenCV finds no display libraries here: its headless build takes its place'
    install --quiet --no-deps --force-reinstall "opencv-python-headless==$(installed_version opencv-python)"
}

self_check() {
    # From another folder, so that only what is really installed is found.
    (cd / && "$python" - <<'EOF')
import deconas_plugin
import basicsr
import cv2
import mmengine
import torch
import torchvision
from deconas_plugin import start_up_hook

modules = {'torch': torch, 'torchvision': torchvision, 'basicsr': basicsr, 'mmengine': mmengine, 'opencv': cv2,
           'deconas_plugin': deconas_plugin}
for name, module in modules.items():
    print(f'    {name:<16}{module.__version__}')
hook = start_up_hook.update()
if hook:
    print("    note: torchvision's compiled operators do not load beside this torch. The plugin needs none of them; for\n"
          f'    all else that imports torchvision, {hook} lets it be imported without them.')
print('    device          ', torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu', sep='')
EOF
}

main "$@"
