package services

import (
	"regexp"

	resources "github.com/pulumi/pulumi-azure-native-sdk/resources/v2/v20240301"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

// groupTypes are resource groups.
func groupTypes() []arm.Definition {
	return []arm.Definition{
		arm.Typed[resources.ResourceGroup, resources.ResourceGroupArgs](arm.Definition{
			Path: "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}",
			Name: arm.NameRule{
				// Azure allows 90 characters, but AKS makes a node label from the name.
				Pattern: regexp.MustCompile(`^[A-Za-z0-9_.()-]{0,62}[A-Za-z0-9_()-]$`), ID: "N1",
				Say: "1 to 63 letters, digits, underscores, parentheses, hyphens and periods, no period at the end",
			},
			Immutable: []string{"location"},
			Checks:    []arm.Rule{locationRule},
			InUse:     "ResourceGroupNotEmpty",
			Compute: func(arm.Subject) arm.Document {
				return arm.Document{"properties": map[string]any{"provisioningState": "Succeeded"}}
			},
		}, "resources"),
	}
}

// locationRule: a resource group has no parent whose location it could take.
var locationRule = arm.Rule{Code: "LocationRequired", Broken: func(s arm.Subject) []arm.Finding {
	if s.In.Has("location") {
		return nil
	}
	return arm.Found("location", "The location property is required for this definition; set it, for example to westeurope")
}}
