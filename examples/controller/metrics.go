package main

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what the controller counts, beside what controller-runtime counts: rest_client_requests_total is the
// requests to the API server, controller_runtime_reconcile_total the turns.
type metrics struct {
	decisions prometheus.Histogram
	created   prometheus.Counter
	canceled  prometheus.Counter
	released  prometheus.Counter
	refused   prometheus.Counter
	conflicts prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "testdag", Name: name, Help: help})
	}
	m := &metrics{
		decisions: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "testdag", Name: "decision_seconds", Help: "What it takes to decide what to do about one object; its count is that of decisions.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 15),
		}),
		created:   counter("runs_created_total", "PipelineRuns that were asked for. One that is not seen in time is asked for again."),
		canceled:  counter("runs_canceled_total", "PipelineRuns whose end was asked for."),
		released:  counter("runs_released_total", "PipelineRuns whose end is kept, and that may be deleted."),
		refused:   counter("runs_refused_total", "PipelineRuns that the API server will never take."),
		conflicts: counter("conflicts_total", "Plans that were dropped because the object had changed."),
	}
	r.MustRegister(m.decisions, m.created, m.canceled, m.released, m.refused, m.conflicts)
	return m
}
