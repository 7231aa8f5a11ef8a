// Package owners says who holds the GPUs of a node. It is told which processes
// use which GPU and finds for each the workload that it belongs to: a Slurm job
// step, a Kubernetes pod, a container, a systemd unit, else a program that a user
// started. It turns what it sees into start, update and end events of
// allocations. It asks no scheduler and no container runtime: all that it knows
// is in /proc.
//
// # Whose a process is
//
// ParseCgroup reads /proc/PID/cgroup. Of what the paths name, the finest that
// somebody accounts for wins: Slurm before pod before container before unit; a
// job inside a pod is the job, a container inside a pod is the pod. A process of
// none of these, or of a service that only launches other people's programs
// (sshd, cron), belongs to the program it is a part of: its highest ancestor of
// the same user below the shell of a terminal. So the workers that torchrun
// starts in sessions of their own are one allocation, two programs started from
// one shell are two.
//
// # From when to when
//
// A hold begins when its first process started, to the 10 ms of the kernel's
// clock tick. A process that ran for more than five minutes before it came to a
// GPU holds it from the last observation that did not show it. A hold ends when
// its last process on a GPU exits, to the millisecond where the kernel has pidfds
// and /proc is this machine's; otherwise at the first observation that finds it
// gone. A living process that vanishes from its GPU for half a minute has let go
// of it, from the first observation without it. Slurm jobs, and pods whose
// environment names the devices that were granted to them, hold what they used
// until they end: while the process that all of theirs descend from lives, a
// pause between two runs releases nothing. (A container that restarts in its pod
// is a new allocation with the same pod_uid.)
//
// # Ids
//
// An id is kind/node/who/boot-start-pid: slurm/n7/8123.0/3f2a9c01-482211-7001.
// Job ids are reused after a requeue, containers and services restart under
// their names; an allocation never does. So the id ends with the process that
// began it: the kernel's boot id, its start in clock ticks since boot, its pid.
// For what is granted that is the ancestor of all, for the rest the first process
// on a GPU; a hold that such a process begins again carries its number. An agent
// that restarts computes the same id from the same process. The node is part of
// it because each node knows only its own GPUs: a job on eight nodes is eight
// allocations with one slurm_job_id.
//
// # Restarts
//
// Without a state file an agent that restarts says again what it sees, which
// counts once; what ended while it was away stays open, for nobody saw the end.
// With one it repeats its last words on every open allocation, and on those that
// ended in the last ten minutes (they may not have reached the broker), and ends
// what is gone at the last instant at which it was seen, at most a minute early.
//
// # What is said of a process
//
// The user is that of the process; inside pods and containers the user id is the
// image's choice and says nothing, so it is empty there unless GPUMETER_USER or
// JUPYTERHUB_USER is set or the container runs below a user's own systemd.
// Arguments pass Mask. Of the environment only the variables named in Config and
// those of [Config.Labels] leave the process's page; nothing else is kept.
// Whatever cannot be read is counted in Stats and said to nobody.
package owners
