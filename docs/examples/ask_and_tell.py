"""A search whose networks are scored in a pool of processes; a cluster's scheduler would take the pool's place.

Every network is trained for itself, for as many steps as the command line says, on photographs that come with
scikit-image, and scored on another one. The search proposes a network as soon as a process is free. Killed, the same
command goes on where it was:

    python docs/examples/ask_and_tell.py --trials 40 --processes 2 --steps 100
"""
import argparse
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path

import torch
from skimage import data

import deconas_plugin

SPACE = {'num_feat': 16, 'num_block': 2, 'num_layer': 3, 'residual': 'bicubic', 'init': 'he'}
PRICE = [{'type': 'mult_adds', 'weight': 0.5}]  # dB for the largest network
SIDE = 32  # of an LR patch


def score(text, steps, seed=0):
    """float: PSNR in dB of a network, given as the text of its genotype, after a short training on its own."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    net = deconas_plugin.search_space(**SPACE).candidate(text).network()
    photos = [pairs(photo) for photo in (data.astronaut(), data.coffee(), data.rocket())]
    optimizer = torch.optim.Adam(net.parameters(), 2e-3)
    for step in range(steps):
        lr, hr = photos[step % len(photos)]
        top, left = (torch.randint(side - SIDE, ()).item() if side > SIDE else 0 for side in lr.shape[-2:])
        patch = net(lr[..., top:top + SIDE, left:left + SIDE])
        target = hr[..., 2 * top:2 * (top + SIDE), 2 * left:2 * (left + SIDE)]
        loss = (patch - target).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    lr, hr = pairs(data.chelsea())
    with torch.no_grad():
        error = (net(lr).clamp(0, 1) - hr)[..., 2:-2, 2:-2].square().mean()
    return -10 * error.log10().item()


def pairs(photo):
    """tuple[Tensor, Tensor]: LR (1, 3, h, w) and HR (1, 3, 2h, 2w) of a photograph, a quarter of its sides."""
    hr = torch.from_numpy(photo).permute(2, 0, 1)[None].float() / 255
    hr = torch.nn.functional.interpolate(hr, scale_factor=0.5, mode='bicubic', antialias=True).clamp(0, 1)
    hr = hr[..., :hr.shape[-2] // 2 * 2, :hr.shape[-1] // 2 * 2]
    return torch.nn.functional.interpolate(hr, scale_factor=0.5, mode='bicubic', antialias=True).clamp(0, 1), hr


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--trials', type=int, default=40, help='networks to score (default: 40)')
    parser.add_argument('--processes', type=int, default=2, help='at a time (default: 2)')
    parser.add_argument('--steps', type=int, default=100, help='of the training of each (default: 100)')
    parser.add_argument('--file', default='ask_and_tell.state', help='what the search remembers (default: %(default)s)')
    args = parser.parse_args()

    search = deconas_plugin.AskTell(deconas_plugin.search_space(**SPACE), 'evolution', PRICE)
    waiting = search.load(args.file) if Path(args.file).exists() else []
    running = {}
    # Spawned, not forked: PyTorch's threads do not survive a fork.
    with ProcessPoolExecutor(args.processes, mp_context=get_context('spawn')) as pool:
        while True:
            while len(running) < args.processes and (waiting or len(search.trials) < args.trials):
                trial = waiting.pop() if waiting else search.ask()
                running[pool.submit(score, str(trial.candidate), args.steps)] = trial
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                trial = running.pop(future)
                search.tell(trial, None if future.exception() else future.result())
                search.save(args.file)
                print(f'{trial.number:3}  {trial.state}  {trial.candidate}  {trial.candidate.psnr or 0:.2f} dB')
    print(f'best: {search.best}, {search.best.psnr:.2f} dB, {search.best.cost.mult_adds / 1e9:.2f} G Mult-Adds @720p')


if __name__ == '__main__':
    main()
