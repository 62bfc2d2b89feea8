"""Convert the weights of a trained DeCoNASNet, or public ones of a network in the paper's table."""
from deconas_plugin.commands.arguments import add_lr_size, add_scale, complete_weights

EXAMPLES = """examples:
  for tools that read .safetensors:
    deconas convert experiments/train_DeCoNASNet_x2/models/net_g_latest.pth DeCoNASNet_x2.safetensors
  fused, in half precision, for inference:
    deconas convert DeCoNASNet_x2.safetensors DeCoNASNet_x2_fp16.safetensors --fused --precision fp16
  for onnxruntime, TensorRT and others (always fused; pip install onnx onnxruntime onnxscript):
    deconas convert DeCoNASNet_x2.safetensors DeCoNASNet_x2.onnx
  for Upscayl and realesrgan-ncnn (always fused; pip install ncnn pnnx), with DeCoNASNet_x2.bin beside it:
    deconas convert DeCoNASNet_x2.safetensors DeCoNASNet_x2.param --precision fp16
  public weights of SRCNN, VDSR, LapSRN (.mat), CARN (.pth, MXNet .params) or FALSR-A (.pb), for deconas benchmark:
    deconas convert FALSR-A.pb falsr.pth --network FALSR-A
  a page of OpenModelDB for every network of the model zoo:
    deconas convert --openmodeldb pages

A .pth holds params, as BasicSR writes it. Of a .pth with params_ema, those are taken.
"""


def add_arguments(parser):
    parser.add_argument('source', nargs='?', metavar='WEIGHTS',
                        help='weight file or name in the model zoo').completer = complete_weights
    parser.add_argument('target', nargs='?', metavar='TARGET', help='.pth, .safetensors, .onnx, or .param for ncnn')
    parser.add_argument('--fused', action='store_true',
                        help='merge convolutions: the same output, faster, for inference only')
    parser.add_argument('--precision', choices=['float32', 'fp16', 'bf16'], default='float32',
                        help='of the numbers in the file (default: float32)')
    add_lr_size(parser, 'for an .onnx that takes this size alone, as some runtimes want; default: any')
    parser.add_argument('--network', choices=['SRCNN', 'VDSR', 'LapSRN', 'CARN', 'FALSR-A'],
                        help='WEIGHTS are the public file of this network; the .pth is for its arch here')
    add_scale(parser, 'of these weights; default: 2')
    parser.add_argument('--openmodeldb', metavar='FOLDER', help='write a JSON stub for each zoo entry')


def check(parser, args):
    """Refuse what does not belong together."""
    if args.openmodeldb and (args.source or args.fused or args.network or args.precision != 'float32'):
        parser.error('--openmodeldb stands alone')
    if args.network and (args.fused or args.precision != 'float32'):
        parser.error('--fused and --precision have no effect with --network')
    if args.scale and not args.network:
        parser.error('--scale has an effect with --network only; a DeCoNASNet says its scale itself')
    if not args.openmodeldb and not args.target:
        parser.error('expected WEIGHTS and TARGET, or --openmodeldb')


def run(args):
    if args.openmodeldb:
        from deconas_plugin.formats.openmodeldb import write_stubs
        for path in write_stubs(args.openmodeldb):
            print(path)
    elif args.network:
        from deconas_plugin.formats.published.recognise import convert_published
        print(convert_published(args.source, args.target, args.network, args.scale or 2))
    else:
        from deconas_plugin.formats.convert import convert
        print(convert(args.source, args.target, args.fused, args.precision, args.lr_size))
