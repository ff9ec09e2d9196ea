"""What the slow link gives for what it is asked, from 1 to 300 Mbit/s and from 1 to 40 ms:

python tests/benchmarks/link.py
"""

from perflab.experiments.linkerror import link_error

if __name__ == "__main__":
    print(link_error((1, 10, 20, 100, 300), (1, 5, 10, 20, 40), seconds=0.25, times=20).round(2))
