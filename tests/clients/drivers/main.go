// Order of a customer with the client that OpenAPI Generator writes for Go.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	client "delivery.example/client"
)

func must[T any, R any](value T, _ R, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	configuration := client.NewConfiguration()
	configuration.Servers = client.ServerConfigurations{{URL: os.Getenv("BASE_URL")}}
	api := client.NewAPIClient(configuration)
	credentials := client.NewSignInRequest(os.Getenv("EMAIL"), os.Getenv("PASSWORD"))
	session := must(api.SessionsAPI.SignIn(context.Background()).SignInRequest(*credentials).Execute())
	ctx := context.WithValue(context.Background(), client.ContextAccessToken, session.AccessToken)
	catalog := must(api.CatalogAPI.ListCatalog(ctx).PartnerId(1).Execute())
	product := catalog.Items[0].Products[0]
	items := []client.BasketItem{*client.NewBasketItem(product.Id, 2)}
	basket := client.NewCheckOrderRequest(1, items, 2*product.Price, "visa", "1 Long Street")
	check := must(api.OrdersAPI.CheckOrder(ctx).CheckOrderRequest(*basket).Execute())
	request := client.NewConfirmOrderRequest(check.CheckId)
	confirmed := must(api.OrdersAPI.ConfirmOrder(ctx).ConfirmOrderRequest(*request).Execute())
	order := must(api.OrdersAPI.GetOrder(ctx, confirmed.Order.Id).Execute())
	must(api.OrdersAPI.CancelOrder(ctx, order.Id).CancelOrderRequest(client.CancelOrderRequest{}).Execute())
	events := must(api.OrdersAPI.WatchOrder(ctx, order.Id).LastEventID("1").Execute())
	_, ended, err := api.OrdersAPI.WatchOrder(ctx, order.Id).LastEventID("2").Execute()
	if err != nil {
		panic(err)
	}
	encoded, err := json.Marshal(map[string]any{"status": order.Status, "events": events, "ended": ended.StatusCode})
	if err != nil {
		panic(err)
	}
	fmt.Println(string(encoded))
}
