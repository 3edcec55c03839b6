// Package schedulertest TODO
package schedulertest
