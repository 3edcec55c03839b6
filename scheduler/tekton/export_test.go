package tekton

// LabelValue is what a label holds of a text.
var LabelValue = labelValue

// Known returns how many PipelineRuns are kept for those who follow them.
func (r *Runner) Known() int {
	r.lookout.mu.Lock()
	defer r.lookout.mu.Unlock()
	return len(r.lookout.gone) + len(r.lookout.followers) + r.lookout.following
}
