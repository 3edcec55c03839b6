package scan

import (
	"strings"

	gocvss20 "github.com/pandatix/go-cvss/20"
	gocvss30 "github.com/pandatix/go-cvss/30"
	gocvss31 "github.com/pandatix/go-cvss/31"
	gocvss40 "github.com/pandatix/go-cvss/40"

	"github.com/testdag/testdag/attest/intoto"
)

// A cvss is the base scores that one source gives, by the major version of CVSS.
type cvss struct{ v2, v3, v4 *float64 }

// set takes a score of a version, "3.1", or that of its vector if that is no score. The highest counts.
func (c *cvss) set(version string, score *float64, vector string) {
	if !isScore(score) {
		version, score = scored(vector)
	}
	switch major, _, _ := strings.Cut(version, "."); major {
	case "2":
		c.v2 = higher(c.v2, score)
	case "3":
		c.v3 = higher(c.v3, score)
	case "4":
		c.v4 = higher(c.v4, score)
	}
}

// isScore says whether a score is one. Tools write 0 for none, as Clair did for version 3 where only version 2 is
// known. That something does no harm is told by its vector.
func isScore(score *float64) bool { return score != nil && *score > 0 && *score <= 10 }

// higher returns the higher of two scores, either of which may be missing.
func higher(a, b *float64) *float64 {
	if a == nil || b != nil && *b > *a {
		return b
	}
	return a
}

// highest returns the highest score of all versions, nil if there is none.
func (c cvss) highest() *float64 { return higher(higher(c.v2, c.v3), c.v4) }

// rate adds the scores of a source. Version 2 counts only where there is no later one: it is what scores were before.
func (c cvss) rate(list []intoto.Severity, source string) []intoto.Severity {
	if c.v4 != nil {
		list = rated(list, "cvss_v4", source, *c.v4)
	}
	if c.v3 != nil {
		list = rated(list, "cvss_v3", source, *c.v3)
	}
	if c.v2 != nil && c.v3 == nil && c.v4 == nil {
		list = rated(list, "cvss_v2", source, *c.v2)
	}
	return list
}

// scored returns the version and the score of a vector, which says in front of which version it is, unless that is 2. What is
// no vector has neither.
func scored(vector string) (version string, score *float64) {
	vector = strings.TrimSpace(vector)
	var base float64
	var err error
	switch {
	case strings.HasPrefix(vector, "CVSS:4.0/"):
		version, base, err = of("4.0", vector, gocvss40.ParseVector, (*gocvss40.CVSS40).Score)
	case strings.HasPrefix(vector, "CVSS:3.1/"):
		version, base, err = of("3.1", vector, gocvss31.ParseVector, (*gocvss31.CVSS31).BaseScore)
	case strings.HasPrefix(vector, "CVSS:3.0/"):
		version, base, err = of("3.0", vector, gocvss30.ParseVector, (*gocvss30.CVSS30).BaseScore)
	default:
		vector = strings.Trim(strings.TrimPrefix(vector, "CVSS:2.0/"), "()")
		version, base, err = of("2.0", vector, gocvss20.ParseVector, (*gocvss20.CVSS20).BaseScore)
	}
	if err != nil {
		return "", nil
	}
	return version, &base
}

func of[T any](version, vector string, parse func(string) (*T, error), score func(*T) float64) (string, float64, error) {
	v, err := parse(vector)
	if err != nil {
		return "", 0, err
	}
	return version, score(v), nil
}
