package tekton

// LabelValue is what a label holds of a text.
var LabelValue = labelValue

// Known returns how many PipelineRuns are kept for those who follow them.
func (r *Runner) Known() int {
	r.watcher.mu.Lock()
	defer r.watcher.mu.Unlock()
	return len(r.watcher.gone) + len(r.watcher.followers) + r.watcher.following
}
