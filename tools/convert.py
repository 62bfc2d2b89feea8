"""Convert the weights of a trained DeCoNASNet, or public ones of a network in the paper's table."""
import argparse

from deconas_tools.arguments import examples, positive

EXAMPLES = """examples:
  for tools that read .safetensors:
    python tools/convert.py experiments/train_DeCoNASNet_x2/models/net_g_latest.pth DeCoNASNet_x2.safetensors
  fused, in half precision, for inference:
    python tools/convert.py DeCoNASNet_x2.safetensors DeCoNASNet_x2_fp16.safetensors --fused --precision fp16
  for onnxruntime, TensorRT and others (always fused; pip install onnx onnxruntime onnxscript):
    python tools/convert.py DeCoNASNet_x2.safetensors DeCoNASNet_x2.onnx
  for Upscayl and realesrgan-ncnn (always fused; pip install ncnn pnnx), with DeCoNASNet_x2.bin beside it:
    python tools/convert.py DeCoNASNet_x2.safetensors DeCoNASNet_x2.param --precision fp16
  public weights of SRCNN, VDSR, LapSRN (.mat), CARN (.pth, MXNet .params) or FALSR-A (.pb), for tools/benchmark.py:
    python tools/convert.py FALSR-A.pb falsr.pth --network FALSR-A
  a page of OpenModelDB for every network of the model zoo:
    python tools/convert.py --openmodeldb pages

A .pth holds params, as BasicSR writes it. Of a .pth with params_ema, those are taken.
"""


def build_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=examples(EXAMPLES), formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', nargs='?', metavar='WEIGHTS', help='weight file or name in the model zoo')
    parser.add_argument('target', nargs='?', metavar='TARGET', help='.pth, .safetensors, .onnx, or .param for ncnn')
    parser.add_argument('--fused', action='store_true',
                        help='merge convolutions: the same output, faster, for inference only')
    parser.add_argument('--precision', choices=['float32', 'fp16', 'bf16'], default='float32',
                        help='of the numbers in the file (default: float32)')
    parser.add_argument('--size', type=positive, nargs=2, metavar=('W', 'H'),
                        help='of an .onnx for images of this size alone, for runtimes that want that (default: any)')
    parser.add_argument('--network', choices=['SRCNN', 'VDSR', 'LapSRN', 'CARN', 'FALSR-A'],
                        help='WEIGHTS are the public file of this network; the .pth is for its arch here')
    parser.add_argument('--scale', type=int, choices=(2, 3, 4), help='of these weights (default: 2)')
    parser.add_argument('--openmodeldb', metavar='FOLDER', help='write a JSON stub for each zoo entry')
    return parser


def parse(argv):
    """Parse, and refuse what does not belong together."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.openmodeldb and (args.source or args.fused or args.network or args.precision != 'float32'):
        parser.error('--openmodeldb stands alone')
    if args.network and (args.fused or args.precision != 'float32'):
        parser.error('--fused and --precision have no effect with --network')
    if args.scale and not args.network:
        parser.error('--scale has an effect with --network only; a DeCoNASNet says its scale itself')
    if not args.openmodeldb and not args.target:
        parser.error('expected WEIGHTS and TARGET, or --openmodeldb')
    return args


def run(args):
    if args.openmodeldb:
        from deconas_plugin.formats.openmodeldb import write_stubs
        for path in write_stubs(args.openmodeldb):
            print(path)
    elif args.network:
        from deconas_plugin.formats.published.convert import convert_published
        print(convert_published(args.source, args.target, args.network, args.scale or 2))
    else:
        from deconas_plugin.formats.convert import convert
        print(convert(args.source, args.target, args.fused, args.precision, args.size))


def main(argv=None):
    args = parse(argv)
    from deconas_plugin.utils.console import run_tool
    return run_tool(run, args)


if __name__ == '__main__':
    raise SystemExit(main())
