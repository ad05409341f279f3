"""The one resumable job runner: rows of tables and studies, in processes of this machine or on a cluster."""

from tpsnet.jobs.cluster import HERE, Cluster
from tpsnet.jobs.job import Job
from tpsnet.jobs.runner import run_jobs
from tpsnet.jobs.workers import default_workers, end_with_parent, gpus

__all__ = ["HERE", "Cluster", "Job", "default_workers", "end_with_parent", "gpus", "run_jobs"]
