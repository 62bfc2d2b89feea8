"""Convert the weights of a trained DeCoNASNet."""
import argparse

EXAMPLES = """examples:
  for tools that read .safetensors:
    python tools/convert.py experiments/train_DeCoNASNet_x2/models/net_g_latest.pth DeCoNASNet_x2.safetensors
  fused, in half precision, for inference:
    python tools/convert.py DeCoNASNet_x2.safetensors DeCoNASNet_x2_fp16.safetensors --fused --precision fp16
  for onnxruntime, TensorRT and others (always fused; pip install onnx onnxruntime onnxscript):
    python tools/convert.py DeCoNASNet_x2.safetensors DeCoNASNet_x2.onnx
  a page of OpenModelDB for every network of the model zoo:
    python tools/convert.py --openmodeldb pages

A .pth holds params, as BasicSR writes it. Of a .pth with params_ema, those are taken.
"""


def build_parser():
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('source', nargs='?', metavar='WEIGHTS', help='weight file or name in the model zoo')
    parser.add_argument('target', nargs='?', metavar='TARGET', help='.pth, .safetensors or .onnx')
    parser.add_argument('--fused', action='store_true',
                        help='merge convolutions: the same output, faster, for inference only')
    parser.add_argument('--precision', choices=['float32', 'fp16', 'bf16'], default='float32',
                        help='of the numbers in the file (default: float32)')
    parser.add_argument('--openmodeldb', metavar='FOLDER', help='write a JSON stub for each zoo entry')
    return parser


def parse(argv):
    """Parse, and refuse what does not belong together."""
    parser = build_parser()
    args = parser.parse_args(argv)
    if args.openmodeldb and (args.source or args.fused or args.precision != 'float32'):
        parser.error('--openmodeldb stands alone')
    if not args.openmodeldb and not args.target:
        parser.error('expected WEIGHTS and TARGET, or --openmodeldb')
    return args


def run(args):
    if args.openmodeldb:
        from deconas_plugin.formats.openmodeldb import write_stubs
        for path in write_stubs(args.openmodeldb):
            print(path)
    else:
        from deconas_plugin.formats.convert import convert
        print(convert(args.source, args.target, args.fused, args.precision))


def main(argv=None):
    args = parse(argv)
    from deconas_plugin.utils.console import run_tool
    return run_tool(run, args)


if __name__ == '__main__':
    raise SystemExit(main())
