package intoto

import (
	"encoding/json"
	"fmt"
	"regexp"
	"time"
)

// The years that a time of evidence may be in: from the first of Unix time to the last that RFC 3339 can write. A time
// outside is a mistake or an attack, and says nothing of what is newest.
const (
	firstYear = 1970
	lastYear  = 9999
)

// instantForm is a date-time of RFC 3339, section 5.6, with the capital T and Z that every producer writes. Package time
// takes more: a comma before the fraction, an hour of one digit, an offset of 24 hours.
var instantForm = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// parseInstant reads RFC 3339 to the letter.
func parseInstant(text string) (time.Time, error) {
	if !instantForm.MatchString(text) {
		return time.Time{}, fmt.Errorf("%.40q is not a time of RFC 3339, like 2026-03-01T12:00:00Z", text)
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("%.40q is not a time of RFC 3339: there is no such day or hour", text)
	}
	if problem := yearProblem(t); problem != "" {
		return time.Time{}, fmt.Errorf("%.40q: %s", text, problem)
	}
	return t, nil
}

func yearProblem(t time.Time) string {
	if year := t.UTC().Year(); year < firstYear || year > lastYear {
		return fmt.Sprintf("year %d is not within %d and %d", year, firstYear, lastYear)
	}
	return ""
}

// ParseTime returns the time that a text tells, which must be RFC 3339 to the letter. The zero time means that text is
// none.
func ParseTime(text string) time.Time {
	t, _ := parseInstant(text)
	return t
}

// An Instant is a time in JSON that must be RFC 3339 to the letter. Null leaves it as it is.
type Instant struct{ time.Time }

// UnmarshalJSON reads a string.
func (i *Instant) UnmarshalJSON(b []byte) (err error) {
	if string(b) == "null" {
		return nil
	}
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	i.Time, err = parseInstant(text)
	return err
}
