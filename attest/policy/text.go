package policy

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// mostShown is how many bytes of text that others wrote are shown in a message.
const mostShown = 300

// mostOfError is the same for an error, whose end says what to do.
const mostOfError = 1000

// shown is text that others wrote, as it may stand in a message: one line, which no terminal obeys.
func shown(text string) string { return oneLine(text, mostShown) }

func oneLine(text string, most int) string {
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unprintable) {
		return strconv.Quote(text)
	}
	return text
}

// shownError is an error in one line. Several that were joined are divided by semicolons.
func shownError(err error) string {
	if err == nil {
		return "nobody vouches for it"
	}
	return oneLine(strings.ReplaceAll(err.Error(), "\n", "; "), mostOfError)
}

// sorted returns notes in the one order that does not depend on that of the input, each once.
func sorted(notes []Note) []Note {
	slices.SortFunc(notes, compareNotes)
	notes = slices.CompactFunc(notes, func(a, b Note) bool { return compareNotes(a, b) == 0 })
	if notes == nil {
		return []Note{} // an empty list in JSON
	}
	return notes
}

// compareNotes looks at one thing after the other only if those before are equal, since most differ early.
func compareNotes(a, b Note) int {
	if c := cmp.Compare(a.Metadata.Code, b.Metadata.Code); c != 0 {
		return c
	}
	if c := slices.Compare(a.Metadata.Term, b.Metadata.Term); c != 0 {
		return c
	}
	if c := cmp.Compare(a.Msg, b.Msg); c != 0 {
		return c
	}
	if c := orZero(a.Metadata.EffectiveOn).Compare(orZero(b.Metadata.EffectiveOn)); c != 0 {
		return c
	}
	return slices.CompareFunc(a.Evidence, b.Evidence, func(a, b Source) int {
		return cmp.Or(cmp.Compare(a.Manifest, b.Manifest), cmp.Compare(a.String(), b.String()))
	})
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func (s Source) stamp() string {
	if s.Time == nil {
		return "no time"
	}
	return s.Time.Format(time.RFC3339Nano)
}

// String tells the evidence in a line.
func (s Source) String() string {
	parts := []string{string(s.Origin)}
	if s.PredicateType != "" {
		parts = append(parts, strings.TrimPrefix(s.PredicateType, "https://in-toto.io/attestation/"))
	}
	stamp := s.stamp()
	if s.Clock != "" {
		stamp += " by the " + string(s.Clock)
	}
	parts = append(parts, stamp, s.Manifest)
	if s.By != "" {
		parts = append(parts, s.By)
	}
	if s.Origin == InIntegration {
		complete := "completeness unproven"
		if s.Completeness != "" {
			complete = "complete by " + string(s.Completeness)
		}
		parts = append(parts, complete)
	}
	return shown(strings.Join(parts, ", "))
}
