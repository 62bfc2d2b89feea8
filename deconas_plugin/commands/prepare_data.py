"""Prepare training databases, test sets or the sample photographs."""
import os
import sys

from deconas_plugin.commands.arguments import add_lr, add_max_pixels, add_output, add_scale, positive

EXAMPLES = """examples:
  training data at x2, the last 50 images held out for the reward:
    deconas prepare-data --hr DIV2K_train_HR --scale 2 --split train=0001-0750 reward=0751-0800
  the same with DIV2K's own LR images:
    deconas prepare-data --hr DIV2K_train_HR --lr DIV2K_train_LR_bicubic/X2 --scale 2
  a folder of your own photographs, with the option file of a search on them:
    deconas prepare-data --hr photos --scale 2 --write-options my.yml --like search_x2_quick
  a test set in any of the usual layouts (HR + LRbicx2, image_SRF_2, *_HR.png + *_LR.png, HR images only):
    deconas prepare-data --test-set --hr downloads/Set5 --name Set5 --scale 2
  the photographs that come with scikit-image, without any download:
    deconas prepare-data --sample-photos --scale 2

An interrupted run goes on when it is started again. Exit code: 0 all well, 1 some images were left out (listed),
2 nothing could be done (the message says why).
"""


def add_arguments(parser):
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument('--hr', metavar='DIR', help='folder of HR images (PNG, JPEG, TIFF, WebP and others; '
                        '8 bits per channel)')
    source.add_argument('--sample-photos', action='store_true', help='use the photographs inside scikit-image')
    add_lr(parser, 'folder of LR images, 0001.png or 0001x2.png')
    parser.add_argument('--bicubic', choices=('basicsr', 'matlab', 'matlab-replicate'),
                        help='how LR images are made: by BasicSR; equal to those of MATLAB; or equal to those of Set5, '
                        'Set14 and B100, for which MATLAB repeated the outermost pixels (default: as the published '
                        'images of a --test-set, else basicsr)')
    add_scale(parser, 'required', required=True)
    parser.add_argument('--test-set', action='store_true', help='write GTmod<scale> and LRbicx<scale> folders of whole '
                        'images instead of databases of sub-images')
    parser.add_argument('--name', help='name of the data set (default: DIV2K, or that of the --hr folder for a test '
                        'set and with --write-options)')
    add_output(parser, 'output folder (default: datasets/NAME)')
    parser.add_argument('--split', nargs='+', metavar='NAME=PART', help='databases by ranges of image names '
                        '(train=0001-0750), shares (train=80%%) or numbers of images (train=50); default: one, train, '
                        'of all images, or with --write-options a share for each purpose')
    parser.add_argument('--write-options', metavar='FILE', help='write an option file for this data too')
    parser.add_argument('--like', metavar='NAME', help='which option file to write it like: of the plugin, such as '
                        'search_x2_quick, or one of your own (default: search_x<scale>)')
    parser.add_argument('--size', type=positive, help='side of an HR sub-image (default: 480)')
    parser.add_argument('--step', type=positive, help='HR pixels between sub-images (default: 240)')
    add_max_pixels(parser)
    parser.add_argument('--workers', type=positive, help='processes (default: all cores)')
    parser.add_argument('--overwrite', action='store_true', help='replace databases made with other settings')


def check(parser, args):
    """Refuse options that would have no effect."""
    only_lmdb = ('split', 'size', 'step', 'overwrite', 'write_options')
    if args.like and not args.write_options:
        parser.error('--like has no effect without --write-options')
    unused = (*only_lmdb, 'lr', 'name', 'test_set', 'workers', 'bicubic', 'max_pixels') if args.sample_photos else \
        only_lmdb if args.test_set else ()
    for option in unused:
        if getattr(args, option):
            parser.error(f'--{option.replace("_", "-")} has no effect with '
                         f'{"--sample-photos" if args.sample_photos else "--test-set"}')
    if args.lr and args.bicubic:
        parser.error('--bicubic has no effect with --lr')


def run(args):
    return _report(*_prepare(args))


def _prepare(args):
    """tuple[list[Prepared], str]: What was made, and the command that comes next, if there is one."""
    from deconas_plugin.data.bicubic import official_shrinking
    from deconas_plugin.data.image_io import list_images
    from deconas_plugin.data.images.reader import MAX_PIXELS
    from deconas_plugin.data.pairs import select_splits
    from deconas_plugin.data.prepare import prepare_sub_images
    from deconas_plugin.data.sample_photos import prepare_sample_photos
    from deconas_plugin.data.test_sets import find_test_pairs, prepare_test_pairs
    from deconas_plugin.files.paths import default_folder, tool_command, typed
    from deconas_plugin.machine.parallel import available_cores
    from deconas_plugin.options.own_data import OwnOptions

    if args.sample_photos:
        photos = prepare_sample_photos(args.output or default_folder('datasets/sample_photos'), args.scale)
        return [photos.train, photos.reward, photos.val], ''
    run = {'workers': args.workers or available_cores(), 'max_pixels': args.max_pixels or MAX_PIXELS}
    of_folder = args.test_set or args.write_options
    name = args.name or (os.path.basename(os.path.abspath(args.hr)) if of_folder else 'DIV2K')
    out = args.output or default_folder('datasets') / name
    if args.test_set:
        pairs, missing = find_test_pairs(args.hr, args.scale, args.lr)
        prepared = prepare_test_pairs(pairs, out, args.scale, bicubic=args.bicubic or official_shrinking(name), **run)
        prepared.skipped.update(missing)
        return [prepared], ''
    passed_over = {}
    images = list_images(args.hr, passed_over)
    own = None
    if args.write_options:
        own = OwnOptions(args.write_options, args.like or f'search_x{args.scale}', args.split)
    parts = own.parts if own else args.split
    splits = select_splits(images, parts) if parts else {'train': images}
    prepared = {split: prepare_sub_images(
        chosen, out, args.scale, name=name, split=split, lr_folder=args.lr, size=args.size or 480,
        step=args.step or 240, overwrite=args.overwrite, bicubic=args.bicubic or 'basicsr', **run)
        for split, chosen in splits.items()}
    next(iter(prepared.values())).skipped.update(passed_over)
    if own:
        own.write(name, args.scale, prepared)
    return list(prepared.values()), f'{tool_command(own.task)} -opt {typed(own.path)}' if own else ''


def _report(prepared, command):
    """Print the paths as options read them, notes, what was left out and what comes next; returns the exit code."""
    for pair in prepared:
        print(f'dataroot_gt: {pair.hr}\ndataroot_lq: {pair.lr}')
    for note in sorted({note for pair in prepared for note in pair.notes}):
        print(f'note: {note}')
    skipped = [reason for pair in prepared for reason in pair.skipped.values()]
    for reason in skipped:
        print(f'left out: {reason}', file=sys.stderr)
    if command:
        print(f'Options written. Next: {command}')
    return 1 if skipped else 0
