package services

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// Limits of tags. Source: azure-docs azure-resource-manager/management/tag-resources, 15 March
// 2022; those of secrets: azure-docs key-vault/secrets/about-secrets, 4 September 2019.
const (
	mostTags      = 50
	fewerTags     = 15
	longestTag    = 512
	longestOfTag  = 256
	notInTagNames = `<>%&\?/`
)

// tagged adds the limits of tags to each type that has tags.
func tagged(definitions []arm.Definition) []arm.Definition {
	for i := range definitions {
		if hasTags(definitions[i].Inputs) {
			definitions[i].Checks = append(definitions[i].Checks, tagLimits)
		}
	}
	return definitions
}

// hasTags says whether a struct of the SDK has the property tags.
func hasTags(inputs reflect.Type) bool {
	for i := range inputs.NumField() {
		if arm.PropertyName(inputs.Field(i)) == "tags" {
			return true
		}
	}
	return false
}

// tagLimits: a resource has up to 50 tags, and some types have up to 15. A name has up to 512
// characters, that of a secret's tag 256, and some characters are not allowed. A value has up to
// 256. The code is inferred `refusal-codes`.
var tagLimits = arm.Rule{Code: "InvalidTags", Broken: func(s arm.Subject) []arm.Finding {
	tags := s.In.Document("tags")
	most, longest := mostTags, longestTag
	switch s.Kind {
	case typeZone, typeZoneLink:
		most = fewerTags
	case typeSecret:
		most, longest = fewerTags, longestOfTag
	}
	var result []arm.Finding
	if len(tags) > most {
		result = append(result, arm.Found("tags", "'%s' has %d tags; it can have %d, take some out", s.Label(), len(tags), most)...)
	}
	for _, name := range slices.Sorted(maps.Keys(tags)) {
		if length := utf8.RuneCountInString(name); length > longest {
			result = append(result, arm.Found("tags", "the name of the tag '%.20s…' has %d characters; it can have %d", name, length, longest)...)
		}
		if strings.ContainsAny(name, notInTagNames) {
			result = append(result, arm.Found("tags", "the name of the tag '%s' has one of the characters %s; take it out", name, notInTagNames)...)
		}
		value, _ := tags[name].(string)
		if length := utf8.RuneCountInString(value); length > longestOfTag {
			result = append(result, arm.Found("tags", "the value of the tag '%s' has %d characters; it can have %d", name, length, longestOfTag)...)
		}
	}
	return result
}}
