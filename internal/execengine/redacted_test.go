package execengine

import (
	"strings"
	"testing"
)

// What a command reports of itself is kept without its secrets.
func TestReport_Redacted(t *testing.T) {
	r, err := ParseReport([]byte(`{"error":"login with token=S3CR3T","error_traceback":"nats://u:S3CR3T@h","bars_processed":12,"config":{"api_key":"S3CR3T","n":1.50}}`))
	if err != nil {
		t.Fatal(err)
	}
	r = r.redacted()
	if r.Footer.Error != "login with token=[removed]" || r.Footer.ErrorTraceback != "nats://[removed]@h" || r.Footer.BarsProcessed != 12 ||
		!strings.Contains(string(r.Raw), `"config":{"api_key":"[removed]","n":1.50}`) || strings.Contains(string(r.Raw), "S3CR3T") {
		t.Errorf("%+v\n%s", r, r.Raw)
	}
	many := `{"tokens":"` + strings.Repeat(" ", maxRawBytes-5000) + `","token":[` + strings.Repeat(`"x",`, 1200) + `"x"]}`
	if r, err = ParseReport([]byte(many)); err != nil || r.Raw == nil {
		t.Fatalf("%v, %d bytes", err, len(r.Raw))
	}
	if r = r.redacted(); r.Raw != nil {
		t.Errorf("what has become too large: %d bytes", len(r.Raw))
	}
}
