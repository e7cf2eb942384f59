package footer

import "testing"

// What a worker pays for a report, the coordinator for receiving it, and an
// export for writing it.
func BenchmarkCodec(b *testing.B) {
	f := fullFooter().Normalize()
	packed, text := mustEncode(b, f), mustJSON(b, f)
	for _, c := range []struct {
		name string
		do   func() error
	}{
		{"Normalize", func() error { f.Normalize(); return nil }},
		{"Encode", func() error { _, err := f.Encode(); return err }},
		{"Decode", func() error { _, err := Decode(packed); return err }},
		{"AppendJSON", func() error { _, err := f.AppendJSON(nil); return err }},
		{"DecodeJSON", func() error { _, err := DecodeJSON(text); return err }},
		{"Check", func() error { return soundFooter().Check(fixtureManifest()) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := c.do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
