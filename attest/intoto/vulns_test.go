package intoto

import (
	"fmt"
	"testing"

	"github.com/testdag/testdag/attest/internal/attesttest"
	"github.com/testdag/testdag/internal/strictjson"
)

// Every time of a vulns predicate is spelled to the letter.
func TestTimesOfVulnsAreSpelled(t *testing.T) {
	for field, predicate := range map[string]string{
		"scanner.db.lastUpdate":   `{"scanner":{"uri":"s","db":{"lastUpdate":"%s"},"result":[]},"metadata":{"scanStartedOn":"2026-03-01T11:00:00Z","scanFinishedOn":"2026-03-01T12:00:00Z"}}`,
		"metadata.scanStartedOn":  `{"scanner":{"uri":"s","db":{"lastUpdate":"2026-03-01T11:00:00Z"},"result":[]},"metadata":{"scanStartedOn":"%s","scanFinishedOn":"2026-03-01T12:00:00Z"}}`,
		"metadata.scanFinishedOn": `{"scanner":{"uri":"s","db":{"lastUpdate":"2026-03-01T11:00:00Z"},"result":[]},"metadata":{"scanStartedOn":"2026-03-01T11:00:00Z","scanFinishedOn":"%s"}}`,
	} {
		for _, text := range []string{"2026-03-01T10:00:00,5Z", "2026-03-01T12:00:00+24:00", "0000-01-01T00:00:00Z"} {
			r := readVulns([]byte(fmt.Sprintf(predicate, text)), strictjson.Default)
			attesttest.Field(t, r.Problem, field)
		}
		if r := readVulns([]byte(fmt.Sprintf(predicate, "2026-03-01T11:30:00.25+01:00")), strictjson.Default); r.Problem != nil {
			t.Error(r.Problem)
		}
	}
}
