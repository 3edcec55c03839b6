package scheduler

// A note says what a conclusion was before it changed.
type note struct {
	index      int32
	conclusion Conclusion
}
