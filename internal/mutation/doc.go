// Package mutation breaks the rules of package scheduler on purpose, a line at a time, and sees that its tests notice. A
// test that stays green while a rule is gone is no test of the rule.
package mutation
