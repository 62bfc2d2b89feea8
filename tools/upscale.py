"""Upscale images with a trained DeCoNASNet."""
import argparse

from deconas_tools.arguments import positive

EXAMPLES = """examples:
  every image of a folder:
    python tools/upscale.py photos results/photos --weights experiments/train_DeCoNASNet_x2/models/net_g_latest.pth
  some of them, on the GPU in half precision, slower and a little better:
    python tools/upscale.py "photos/*.jpg" results/photos --weights net.pth --precision fp16 --self-ensemble
  one image into one file:
    python tools/upscale.py cat.jpg cat_x2.png --weights net.safetensors

Results are PNG files with the depth (8 or 16 bits), alpha channel and colour profile of the image. Those that are there
already are left alone. Exit code: 0 all well, 1 some images were left out (listed), 2 nothing could be done.
"""


def build_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('input', nargs='+', metavar='INPUT', help='image, folder of images or pattern in quotes')
    parser.add_argument('output', metavar='OUTPUT', help='folder for the results, or a .png for one image')
    parser.add_argument('--weights', required=True, metavar='NAME', help='weight file or name in the model zoo')
    parser.add_argument('--device', metavar='NAME', help='cpu, cuda or cuda:N (default: CUDA where there is one)')
    parser.add_argument('--precision', choices=['float32', 'bf16', 'fp16'], default='float32',
                        help='of the computation (default: float32; bf16 is off by about a grey level at most places '
                        'and faster where the processor knows it, fp16 is for GPUs)')
    parser.add_argument('--tile', type=positive, default=256, metavar='N',
                        help='side of a tile in pixels; it changes memory and time, not the result (default: 256)')
    parser.add_argument('--self-ensemble', action='store_true',
                        help='average over the eight flips and transpositions: a little better, eight times slower')
    parser.add_argument('--overwrite', action='store_true', help='make results anew that are there already')
    return parser


def upscale(args):
    """int: 0, or 1 if some images were left out."""
    from deconas_plugin.upscaling.jobs import plan_jobs
    from deconas_plugin.upscaling.upscaler import Upscaler, run_jobs
    from deconas_plugin.utils.console import progress_bar

    jobs = plan_jobs(args.input, args.output)
    upscaler = Upscaler(args.weights, args.device, args.precision, args.tile, args.self_ensemble)
    with progress_bar(len(jobs), 'images') as progress:
        outcome = run_jobs(jobs, upscaler, args.overwrite, progress)
    print(f'{outcome.written} upscaled, {outcome.skipped} skipped because they are there already')
    for line in outcome.failed:
        print(f'left out: {line}')
    return 1 if outcome.failed else 0


def main(argv=None):
    args = build_parser().parse_args(argv)
    from deconas_plugin.utils.console import run_tool
    return run_tool(upscale, args)


if __name__ == '__main__':
    raise SystemExit(main())
