package dagfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/testdag/testdag/dag"
)

type jsonScenario struct {
	Name     dag.ID `json:"name"`
	Optional bool   `json:"optional,omitempty"`
	After    []any  `json:"after,omitempty"`
}

type jsonParent struct {
	Name      dag.ID        `json:"name"`
	Condition dag.Condition `json:"condition"`
}

// WriteJSON writes g in the plain form, one scenario a line in canonical order. [Parse] makes an equal graph of it, if
// no name is longer than its limit, and equal graphs make equal text. It fails if an ID is not UTF-8, for which JSON
// has no form.
func WriteJSON(w io.Writer, g *dag.Graph) error {
	var b bytes.Buffer
	b.WriteString("{\n  \"scenarios\": [")
	separator := "\n    "
	for s := range g.Scenarios() {
		line, err := scenarioJSON(s)
		if err != nil {
			return err
		}
		b.WriteString(separator)
		b.Write(line)
		separator = ",\n    "
	}
	if g.Len() > 0 {
		b.WriteString("\n  ")
	}
	b.WriteString("]\n}\n")
	_, err := w.Write(b.Bytes())
	return err
}

func scenarioJSON(s dag.Scenario) ([]byte, error) {
	if !utf8.ValidString(string(s.ID)) {
		return nil, fmt.Errorf("dagfile: the ID %q is not UTF-8, and JSON can hold nothing else; rename the scenario", s.ID)
	}
	line := jsonScenario{Name: s.ID, Optional: s.Optional}
	for _, p := range s.After {
		if p.Condition == dag.OnPass {
			line.After = append(line.After, p.ID)
			continue
		}
		line.After = append(line.After, jsonParent{p.ID, p.Condition})
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(line); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
