"""Draw the box of an image as HR, bicubic and other methods show it, side by side, as one PNG."""
from pathlib import Path

from deconas_plugin.commands.arguments import add_device, add_lr, add_output, add_scale

EXAMPLES = r"""examples:
  two trained networks beside HR and bicubic:
    deconas compare datasets/Set14/GTmod2/barbara.png --box 440,60,80,60 \
      Ours=experiments/x/models/net_g_latest.pth
  results of other methods as images, and an LR image that was not made by bicubic:
    deconas compare HR.png --lr LR.png --box 100,80,64,48 \
      FALSR=results/FALSR/HR_x2.png SRCNN=results/SRCNN/HR.png

The PNG shows the whole HR image with the box at the left and the magnified crops at its side, at 300 dpi. PSNR and SSIM
are those of the whole image on Y, without a border of as many pixels as the scale; the best PSNR is bold.
Exit code: 0 all well, 2 something cannot be used (the message says what).
"""


def add_arguments(parser):
    parser.add_argument('image', metavar='HR', help='the original')
    parser.add_argument('methods', nargs='*', metavar='[NAME=]PATH', help='weights (.pth, .safetensors) of a derived '
                        'network, or the image as another method super-resolved it')
    parser.add_argument('--box', required=True, metavar='X,Y,W,H', help='left, top, width and height in HR pixels')
    add_scale(parser, 'default: 2', default=2)
    add_lr(parser, 'the LR image')
    add_output(parser, 'the PNG (default: results/compare_<image>_x<scale>.png)')
    add_device(parser)


def run(args):
    from deconas_plugin.benchmark.compare import build_method, compare, write_figure
    from deconas_plugin.files.paths import default_folder
    from deconas_plugin.machine.device import choose_device

    device = choose_device(args.device)
    out = args.output or default_folder('results') / f'compare_{Path(args.image).stem}_x{args.scale}.png'
    methods = [build_method(method, args.scale, device) for method in args.methods]
    print(write_figure(compare(args.image, args.box, methods, args.scale, args.lr), out))
