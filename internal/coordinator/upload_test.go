package coordinator

import (
	"testing"

	"gx1replay/internal/bars"
	"gx1replay/internal/dataset"
)

// An upload is seen to move, slice by slice, also when it takes up one that
// broke off.
func TestUploadIsSeen(t *testing.T) {
	b, err := dial(t.Context(), realBus(t), nil, "upload")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if err := b.MakeStreams(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	list := bars.Generate(2*dataset.SliceBars+10, 1)
	for _, what := range []string{"from the start", "taken up"} {
		s := &Session{}
		l := &Life{}
		s.upload.Store(&l.upload)
		l.upload.expect(len(list), 0)
		if p := s.Progress(); p.Uploads != 3 || p.Uploaded != 0 {
			t.Errorf("%s, at first: %d of %d (want 0 of 3)", what, p.Uploaded, p.Uploads)
		}
		if err := dataset.Publish(t.Context(), counting{b, &l.upload}, bars.Digest(list), list); err != nil {
			t.Fatal(err)
		}
		if p := s.Progress(); p.Uploads != 3 || p.Uploaded != 3 {
			t.Errorf("%s, then: %d of %d (want 3 of 3)", what, p.Uploaded, p.Uploads)
		}
		if l.upload.end(); s.Progress().Uploads != 0 {
			t.Errorf("%s, at the end: %+v", what, s.Progress())
		}
		// Without its index it is one that broke off.
		if err := b.DeleteObject(t.Context(), "bars."+bars.Digest(list)); err != nil {
			t.Fatal(err)
		}
	}
}
