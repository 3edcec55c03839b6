package intoto

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
)

// OuterType reads the predicate type of a statement in any form. It calls known once it knows the type, and then goes
// on to the end of the statement, since a key that is given twice makes it another statement to another reader.
func OuterType(in io.Reader, form string, known func(string)) (predicateType string, err error) {
	o := newOuter(in)
	switch {
	case form == PayloadType:
		predicateType, err = typeInStatement(o, known)
	case form == EnvelopeType:
		predicateType, err = typeInEnvelope(o, known)
	case isBundle(form):
		predicateType, err = typeInBundle(o, known)
	default:
		return "", fmt.Errorf("attest: media type %q is not that of a statement", form)
	}
	if err == nil {
		err = o.end()
	}
	return predicateType, err
}

func typeInStatement(o *outer, known func(string)) (predicateType string, err error) {
	var s Statement
	err = o.object([]string{"_type", "subject", "predicateType", "predicate"}, func(name string) (err error) {
		switch name {
		case "_type":
			s.Type, err = o.text()
		case "predicateType":
			if s.PredicateType, err = o.text(); err == nil {
				known(s.PredicateType)
			}
		default:
			err = o.pass()
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return s.PredicateType, errors.Join(s.wrongTypes()...)
}

func typeInEnvelope(o *outer, known func(string)) (predicateType string, err error) {
	var payloadType string
	payload := error(&FieldError{Field: "payload", Problem: "required"})
	err = o.object([]string{"payloadType", "payload", "signatures"}, func(name string) (err error) {
		switch name {
		case "payloadType":
			payloadType, err = o.text()
		case "payload":
			err = o.stream(func(in io.Reader) {
				in = base64.NewDecoder(base64.StdEncoding.Strict(), unbroken{in})
				predicateType, payload = OuterType(in, PayloadType, known) // it may be no statement
			})
		default:
			err = o.pass()
		}
		return err
	})
	if err == nil {
		err = checkPayloadType(payloadType)
	}
	if err == nil {
		err = payload
	}
	return predicateType, err
}

func typeInBundle(o *outer, known func(string)) (predicateType string, err error) {
	envelope := error(&FieldError{Field: "dsseEnvelope", Problem: "required"})
	message := false
	err = o.object([]string{"dsseEnvelope", "messageSignature"}, func(name string) error {
		if name == "dsseEnvelope" {
			predicateType, envelope = typeInEnvelope(o, known)
			return envelope
		}
		message = message || name == "messageSignature"
		return o.pass()
	})
	if err == nil && message && predicateType == "" {
		envelope = fmt.Errorf("%w: the bundle signs a message", ErrNoStatement)
	}
	if err == nil {
		err = envelope
	}
	return predicateType, err
}

// unbroken refuses text with line ends, which package base64 passes over.
type unbroken struct{ in io.Reader }

func (u unbroken) Read(p []byte) (int, error) {
	n, err := u.in.Read(p)
	if bytes.ContainsAny(p[:n], "\r\n") {
		return 0, &FieldError{Field: "payload", Problem: "not standard base64"}
	}
	return n, err
}
