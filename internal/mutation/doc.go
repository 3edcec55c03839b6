// Package mutation breaks the rules of packages scheduler, scheduler/konflux, scheduler/pipelinerun, attest, attest/policy and
// attest/policy/report on purpose, a line at a time, and sees that their tests notice. A test that stays green while a rule is
// gone is no test of the rule.
package mutation
