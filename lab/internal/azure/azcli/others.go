package azcli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/gridos/sharedinfra/lab/internal/azure/arm"
)

const (
	networks = "Microsoft.Network/virtualNetworks"
	zones    = "Microsoft.Network/privateDnsZones"
	servers  = "Microsoft.DBforPostgreSQL/flexibleServers"
	vaults   = "Microsoft.KeyVault/vaults"
)

func otherActions() map[string]action {
	return map[string]action{
		"group show":                           showGroup,
		"network vnet subnet show":             showSubnet,
		"network vnet peering delete":          deletePeering,
		"network private-dns link vnet list":   listLinks,
		"network private-dns link vnet delete": deleteLink,
		"postgres flexible-server show":        showServer,
		"postgres flexible-server upgrade":     upgradeServer,
		"keyvault show":                        showVault,
		"keyvault purge":                       purgeVault,
		"keyvault recover":                     recoverVault,
	}
}

func showGroup(_ context.Context, c Client, command Command) (any, error) {
	group, err := c.show(c.id(command.Value("--name")))
	if err != nil {
		return nil, fmt.Errorf("(ResourceGroupNotFound) Resource group '%s' could not be found", command.Value("--name"))
	}
	return group, nil
}

func showSubnet(_ context.Context, c Client, command Command) (any, error) {
	return c.show(c.id(command.Value("--resource-group"), networks, command.Value("--vnet-name"), "subnets", command.Value("--name")))
}

func deletePeering(ctx context.Context, c Client, command Command) (any, error) {
	return nil, c.Cloud.Delete(ctx,
		c.id(command.Value("--resource-group"), networks, command.Value("--vnet-name"), "virtualNetworkPeerings", command.Value("--name")))
}

func (c Client) zone(command Command) string {
	return c.id(command.Value("--resource-group"), zones, command.Value("--zone-name"))
}

func listLinks(_ context.Context, c Client, command Command) (any, error) {
	if _, err := c.show(c.zone(command)); err != nil {
		return nil, err
	}
	links := []any{}
	for _, id := range c.below(c.zone(command), zones+"/virtualNetworkLinks") {
		link, err := c.show(id)
		if err != nil {
			return nil, err
		}
		links = append(links, link)
	}
	return links, nil
}

func deleteLink(ctx context.Context, c Client, command Command) (any, error) {
	return nil, c.Cloud.Delete(ctx, c.zone(command)+"/virtualNetworkLinks/"+command.Value("--name"))
}

func (c Client) server(command Command) string {
	return c.id(command.Value("--resource-group"), servers, command.Value("--name"))
}

func showServer(_ context.Context, c Client, command Command) (any, error) {
	return c.show(c.server(command))
}

// upgradeServer upgrades a server in place. az refuses a version that is not higher (azure-cli
// 2.45.0, command_modules/rdbms, flexible_server_custom_common.py).
func upgradeServer(ctx context.Context, c Client, command Command) (any, error) {
	in, _, exists := c.Cloud.Live(c.server(command))
	if !exists {
		return nil, fmt.Errorf("(ResourceNotFound) The Resource '%s' was not found", c.server(command))
	}
	has, errHas := strconv.Atoi(in.Text("version"))
	wanted, errWanted := strconv.Atoi(command.Value("--version"))
	if errHas != nil || errWanted != nil || wanted <= has {
		return nil, fmt.Errorf("the version to upgrade to must be greater than the current version: it is %s, and --version is %s",
			in.Text("version"), command.Value("--version"))
	}
	return nil, c.Cloud.Update(ctx, c.server(command), func(in arm.Document) arm.Document {
		return in.Merge(arm.Document{"version": command.Value("--version")})
	})
}

// vault finds a vault by its name alone, which is unique in all of Azure.
func (c Client) vault(name string, deleted bool) (string, error) {
	resources := c.Cloud.Inventory()
	if deleted {
		resources = c.Cloud.SoftDeleted()
	}
	for _, r := range resources {
		if r.Type == vaults && strings.EqualFold(r.Name, name) {
			return r.ID, nil
		}
	}
	return "", fmt.Errorf("the vault '%s' was not found", name)
}

func showVault(_ context.Context, c Client, command Command) (any, error) {
	id, err := c.vault(command.Value("--name"), false)
	if err != nil {
		return nil, err
	}
	return c.show(id)
}

func purgeVault(_ context.Context, c Client, command Command) (any, error) {
	id, err := c.vault(command.Value("--name"), true)
	if err != nil {
		return nil, err
	}
	return nil, c.Cloud.Purge(id)
}

func recoverVault(_ context.Context, c Client, command Command) (any, error) {
	id, err := c.vault(command.Value("--name"), true)
	if err != nil {
		return nil, err
	}
	return nil, c.Cloud.Undelete(id)
}
