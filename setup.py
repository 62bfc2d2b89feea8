import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent


def version() -> str:
    # Read, not imported: importing the plugin needs torch and BasicSR, which may not be installed yet.
    return re.search(r"^__version__ = '(.+)'$", (ROOT / 'deconas_plugin' / '__init__.py').read_text(), re.M).group(1)


setup(
    name='deconas-basicsr',
    version=version(),
    description='DeCoNAS neural architecture search for super-resolution, as a plugin for BasicSR',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE'],
    python_requires='>=3.10,<3.13',  # BasicSR 1.4.2 cannot be built from Python 3.13 on
    packages=[*find_packages(include=['deconas_plugin', 'deconas_plugin.*']), 'deconas_options'],
    package_dir={'deconas_options': 'options'},
    package_data={'deconas_options': ['*.yml', '*.json', '*.md'],
                  'deconas_plugin': ['**/*.yml', '**/*.json', '**/*.html', '**/*.css', '**/*.js', 'zoo/*.pth']},
    entry_points={'console_scripts': ['deconas = deconas_plugin.commands:main']},
    install_requires=[
        'addict',  # what mmengine keeps its options in
        'argcomplete',
        'basicsr==1.4.2',
        'filelock',
        'imagecodecs',  # PNG and TIFF of every depth
        'jinja2',
        'lmdb',
        'markupsafe',
        'matplotlib',
        'mmengine>=0.10',
        'numpy',
        'opencv-python',
        'pillow>=11.3',  # the first with AVIF
        'pyyaml',
        'rich',
        'safetensors',
        'scikit-image',  # its photographs are the data of the quick run
        'scipy',  # reads .mat files; ranks with ties
        'setuptools<82',  # supplies distutils to BasicSR from Python 3.12 on, and pkg_resources to its tensorboard
        'tifffile',
        'torch>=2.4',
        'torchvision>=0.19',
        'tqdm',
    ],
    extras_require={
        'dev': ['hypothesis', 'ipykernel', 'jsonschema', 'nbclient', 'ncnn', 'onnx', 'onnxruntime', 'onnxscript',
                'openvino', 'pnnx', 'pymoo', 'pytest', 'pytest-xdist', 'ruff', 'spandrel'],
        'ncnn': ['ncnn', 'pnnx'],
        'nsga2': ['pymoo'],
        'onnx': ['onnx', 'onnxruntime', 'onnxscript'],
        'openvino': ['openvino'],
        'spandrel': ['spandrel'],
    },
)
