// Package process carries out scenarios as commands on this machine.
//
// A [Runner] starts a program for a run and waits for it. The run passed if the exit status is 0:
//
//	r := process.Runner{Command: process.Commands(map[dag.ID]process.Command{
//		"build": {Args: []string{"make"}},
//		"scan":  {Args: []string{"trivy", "fs", "."}, Dir: "src"},
//	})}
//	s, err := scheduler.Run(ctx, g, r, scheduler.Options{})
//
// # What a command is told
//
// A command has the environment of this program, what its [Command] adds, and these variables, whose names and meaning stay:
//
//   - TESTDAG_SCENARIO is the ID of the scenario.
//   - TESTDAG_RUN is the number of the run, counted from 1.
//   - TESTDAG_BASIS names the runs of the parents that the run stands on, by ascending ID, with a space between:
//     "build#1 lint#2". It is empty where there are none. IDs that have spaces in them cannot be told apart in it.
//   - TESTDAG_RESULTS is a directory, empty and of this run alone, where the command may say what it left. It is made
//     where this program keeps temporary files, and removed when the run is over.
//
// Standard input is empty. Standard output and standard error go the same way, in the order in which they were written.
//
// # How a run ends
//
//   - The command exits: the run passed if the status is 0, and failed otherwise.
//   - Somebody else kills the command with a signal: the run failed.
//   - The command cannot be started and never could be (no such program, no such directory): the run failed.
//   - The command cannot be started just now (no memory, too many processes): Run returns an error, and the scheduler
//     asks again.
//   - The context is canceled while the command runs: it is stopped, and Run returns the error of the context.
//
// The reason of a run that failed says which of these it was. It quotes no output, since reasons are logged and output
// may hold secrets.
//
// # What a run left
//
// A command that puts evidence on an image says so in TESTDAG_RESULTS, in files named as a Tekton task names its results
// for Chains: ARTIFACT_URI and ARTIFACT_DIGEST with a repository and a digest, or ARTIFACT_OUTPUTS, and whatever ends
// so, with both as JSON. pipelinerun.WriteArtifact writes them; so does a shell:
//
//	echo quay.io/team/app >$TESTDAG_RESULTS/ARTIFACT_URI
//	echo sha256:...       >$TESTDAG_RESULTS/ARTIFACT_DIGEST
//	echo '{"uri": "quay.io/team/app", "digest": "sha256:..."}' >$TESTDAG_RESULTS/SBOM_ARTIFACT_OUTPUTS
//
// They are read when the run is over, however it ended, and become the Artifacts of its result: each once, and of a
// repository with its registry, but without scheme, tag and digest. At most 64 files of at most 4096 bytes are read;
// files of other names are left alone, as are links that lead out of the directory.
//
// What cannot be read changes no verdict, since that is the test's: a command that exits with 0 has passed. But its
// reason names each file and what is wrong with it. Whoever asks for the evidence then finds that some is missing.
//
// Where the directory cannot be made, Run returns an error, and the scheduler asks again.
//
// # Nothing is left behind
//
// A command is the leader of a session and of a process group of its own. However a run ends, Run returns only when no
// process of the group is left and all that the group wrote has been read. When the context is canceled, the group is
// sent SIGTERM; when the command ended and left processes behind, those are. Whatever is there after Runner.Grace is
// sent SIGKILL. It does not matter who holds the output open, who ignores SIGTERM, or who forked and went away.
//
// No signal can hit a stranger whose group has by chance the same number: the number is in use until the leader is
// waited for, which happens last. That, and the certainty that nothing is left, needs Linux with its /proc. On other
// Unix systems the leader is waited for first, and a number can in theory be used anew between two looks at a group
// that has just become empty; and zombies that nobody waits for count as left. On systems that are not Unix only the
// command itself is stopped, at once and by force.
//
// Less formally: what a command starts ends with it.
//
// # What it leaves out
//
//   - A process that leaves the group, by setsid or setpgid, as daemons and the jobs of interactive shells do, is not
//     caught. Nor does Run wait for one that holds the output open. Where that matters, run the command in a container.
//   - A process that this program may not signal, such as one of another user, is waited for until it ends by itself.
//   - If this program is killed, commands live on. When Run is called again with the same run, the command is started
//     again, whether or not the old one still works. Commands should therefore make sure of what they do by
//     TESTDAG_SCENARIO and TESTDAG_RUN: name after them what they create, and take what is there already. (Linux can
//     signal a child when its parent dies, but means the thread that started it, which in Go may end at any time, and
//     reaches no grandchildren.) Its directory for results lives on, too.
//   - A program that waits for children it did not start, as with wait4 and -1, takes away ends of commands. It breaks
//     this package as it breaks os/exec.
//   - There are no terminals, no limits of time, memory or processors: time is limited by scheduler.Options.Timeout.
package process
