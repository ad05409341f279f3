"""Slurm's commands as far as submitit and tpsnet call them: jobs are processes of this machine.

``write(folder, answers)`` writes them into a folder for the PATH. The ids of jobs are their array's and their
number in it; accounting gives the states that it is told, by the number.
"""

import sys
from pathlib import Path

SBATCH = """
import os, re, subprocess, sys
script = open(sys.argv[1]).read()
if "--partition=none" in script:
    sys.exit("sbatch: error: invalid partition specified: none")
array = re.search(r"--array=0-(\\d+)", script)
(HERE / "sbatch.log").open("a").write(script)
for number in range(int(array[1]) + 1) if array else [None]:
    name = "100" if number is None else f"100_{number}"
    env = {"SLURM_JOB_ID": "100", "SLURM_PROCID": "0", "SLURM_NTASKS": "1", "SLURM_JOB_NUM_NODES": "1"}
    if number is not None:
        env |= {"SLURM_ARRAY_JOB_ID": "100", "SLURM_ARRAY_TASK_ID": str(number)}
    job = subprocess.Popen(["bash", sys.argv[1]], env=os.environ | env, start_new_session=True,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (HERE / f"{name}.pid").write_text(str(job.pid))
print("Submitted batch job 100")
"""

SRUN = """
import os, sys
options, at = {}, 1
while sys.argv[at].startswith("--"):
    takes = sys.argv[at] == "--output"
    options[sys.argv[at]] = sys.argv[at + 1] if takes else ""
    at += 1 + takes
path = options["--output"].replace("%A", "100").replace("%j", "100").replace("%t", "0")
path = path.replace("%a", os.environ.get("SLURM_ARRAY_TASK_ID", ""))
for stream in (1, 2):
    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
os.execvp(sys.argv[at], sys.argv[at:])
"""

SQUEUE = """
for file in HERE.glob("*.pid"):
    try:
        state = Path(f"/proc/{file.read_text()}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        continue
    if state != "Z":
        print(file.stem)
"""

SACCT = """
print("JobID|State|NodeList")
for file in HERE.glob("*.pid"):
    print(f"{file.stem}|{STATES.get(file.stem.rpartition('_')[2], 'COMPLETED')}|here")
"""


def write(folder: Path, states: dict[str, str]) -> None:
    """Write the commands.

    Args:
        folder: Where to.
        states: What accounting says of jobs by their numbers; of others that they have completed.
    """
    folder.mkdir()
    for name, text in {"sbatch": SBATCH, "srun": SRUN, "squeue": SQUEUE, "sacct": SACCT}.items():
        head = f"#!{sys.executable}\nfrom pathlib import Path\n"
        head += f"HERE, STATES = Path({str(folder)!r}), {states!r}\n"
        (folder / name).write_text(head + text)
        (folder / name).chmod(0o755)
