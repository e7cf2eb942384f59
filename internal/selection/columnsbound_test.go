package selection

import (
	"slices"
	"strconv"
	"testing"
)

// A table with too many columns is refused and leaves the columns as they were,
// so that the tables after it are joined.
func TestColumnsAreBounded(t *testing.T) {
	var c columns
	if err := c.add([]string{"id", "pnl"}); err != nil {
		t.Fatal(err)
	}
	wide := []string{"late", "id"}
	for i := range maxColumns - 2 { // with pnl they are one too many
		wide = append(wide, strconv.Itoa(i))
	}
	if err := c.add(wide); err == nil {
		t.Errorf("%d columns are accepted", len(c.names))
	}
	if err := c.add([]string{"pnl", "late"}); err != nil || !slices.Equal(c.names, []string{"id", "pnl", "late"}) || c.at[column{"late", 0}] != 2 {
		t.Errorf("%d columns, late at %d, %v", len(c.names), c.at[column{"late", 0}], err)
	}
	if err := c.add(wide[1 : len(wide)-1]); err != nil || len(c.names) != maxColumns {
		t.Errorf("the most columns: %d, %v", len(c.names), err)
	}
}
