// Package docs has the pages of the repository that programs read.
package docs

import _ "embed" // the pages

// SupportDates is support-dates.yaml, which package support reads.
//
//go:embed support-dates.yaml
var SupportDates []byte
