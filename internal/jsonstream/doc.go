// Package jsonstream walks through JSON that is too large to hold, and keeps only what its caller asks for.
//
// A [Walker] reads from its input as it goes on. It is asked for one value after the other, in the order of the document:
//
//	w := jsonstream.New(in, limits)
//	err := w.Object(func(name []byte) error {
//		if string(name) != "results" {
//			return w.Skip()
//		}
//		return w.List(func() error {
//			text, err := w.Text()
//			...
//		})
//	})
//	if err == nil {
//		err = w.End()
//	}
//
// Between calls there is a window of the input in memory, and of each object and list that is open a few bytes: the name
// or the index where the walk is, for [Walker.Path], and a hash of each name that was there. The window grows for one
// value that is asked for and never over the limit on it. What is passed over is not held: a text of any length passes
// through the window, and objects and lists leave when they end.
//
// # What is checked
//
// All that is accepted is JSON as [encoding/json.Valid] has it, with two exceptions. Of text that is passed over, only the
// end is looked for: bytes that are not UTF-8, control characters and unknown escapes are not seen there. Of a value that
// [Walker.Pass] passes over, only brackets and the ends of texts are looked at. Otherwise names, numbers, words, brackets,
// commas and colons are checked, whether the caller asks for the value or not.
//
// More is refused than by encoding/json: a name given twice in one object, whichever way it is written, for readers do not
// agree on which one counts; and what is not UTF-8 in names and in text that is asked for. A lone half of a surrogate pair
// ("\ud800") becomes U+FFFD, as with encoding/json.
//
// Names are told apart by a hash of 64 bits with a random seed, so a document cannot be made to collide. That two different
// names in an object of 100,000 are taken for one happens in one of some billion documents.
package jsonstream
