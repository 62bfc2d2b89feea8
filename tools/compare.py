"""Draw the box of an image as HR, bicubic and other methods show it, side by side, as one PNG."""
import argparse

from deconas_tools.arguments import examples

EXAMPLES = r"""examples:
  two trained networks beside HR and bicubic:
    python tools/compare.py datasets/Set14/GTmod2/barbara.png --box 440,60,80,60 \
      Ours=experiments/x/models/net_g_latest.pth
  results of other methods as images, and an LR image that was not made by bicubic:
    python tools/compare.py HR.png --lr LR.png --box 100,80,64,48 \
      FALSR=results/FALSR/HR_x2.png SRCNN=results/SRCNN/HR.png

The PNG shows the whole HR image with the box at the left and the magnified crops at its side, at 300 dpi. PSNR and SSIM
are those of the whole image on Y, without a border of as many pixels as the scale; the best PSNR is bold.
Exit code: 0 all well, 2 something cannot be used (the message says what).
"""


def build_parser():
    parser = argparse.ArgumentParser(description=__doc__, epilog=examples(EXAMPLES),
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('image', metavar='HR', help='the original')
    parser.add_argument('methods', nargs='*', metavar='[NAME=]PATH', help='weights (.pth, .safetensors) of a derived '
                        'network, or the image as another method super-resolved it')
    parser.add_argument('--box', required=True, metavar='X,Y,W,H', help='left, top, width and height in HR pixels')
    parser.add_argument('--scale', type=int, choices=(2, 3, 4), default=2, help='(default: %(default)s)')
    parser.add_argument('--lr', metavar='FILE', help='the LR image (default: made from HR by bicubic)')
    parser.add_argument('--out', metavar='FILE', help='(default: results/compare_<image>_x<scale>.png)')
    parser.add_argument('--device', help='cpu, cuda, cuda:1, ... (default: cuda where there is one)')
    return parser


def draw(args):
    """Do what the arguments ask."""
    from pathlib import Path

    from deconas_plugin.benchmark.compare import build_method, compare, write_figure
    from deconas_plugin.utils.device import choose_device
    from deconas_plugin.utils.paths import default_folder

    device = choose_device(args.device)
    out = args.out or default_folder('results') / f'compare_{Path(args.image).stem}_x{args.scale}.png'
    methods = [build_method(method, args.scale, device) for method in args.methods]
    print(write_figure(compare(args.image, args.box, methods, args.scale, args.lr), out))


def main(argv=None):
    args = build_parser().parse_intermixed_args(argv)
    from deconas_plugin.utils.console import run_tool
    return run_tool(draw, args)


if __name__ == '__main__':
    raise SystemExit(main())
