package trade

import (
	"errors"
	"strconv"
	"strings"
)

// Spreadsheets take a cell that begins with one of these for a formula, which
// may call programs or send cells elsewhere; some pass over a leading tab or
// end of line.
const formulaStarts = "=+-@\t\r\n"

// SpreadsheetCell is text as it stands in a CSV file that people open in a
// spreadsheet: what would be taken for a formula begins with a single quote
// there. Numbers, negative ones too, and all other text stay as they are.
// CellText undoes it.
func SpreadsheetCell(text string) string {
	if isFormula(text) {
		return "'" + text
	}
	return text
}

// CellText is the text that SpreadsheetCell was given.
func CellText(cell string) string {
	if rest, quoted := strings.CutPrefix(cell, "'"); quoted && isFormula(rest) {
		return rest
	}
	return cell
}

// isFormula reports whether text would be taken for a formula. Quotes before it
// do not count, so that those of SpreadsheetCell are told from the text's own.
func isFormula(text string) bool {
	text = strings.TrimLeft(text, "'")
	if text == "" || strings.IndexByte(formulaStarts, text[0]) < 0 {
		return false
	}
	_, err := strconv.ParseFloat(strings.TrimRight(text, " "), 64)
	return err != nil && !errors.Is(err, strconv.ErrRange)
}
