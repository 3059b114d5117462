// Order of a customer with the client that OpenAPI Generator writes for Java.

import java.net.URI;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.openapitools.client.ApiClient;
import org.openapitools.client.api.CatalogApi;
import org.openapitools.client.api.OrdersApi;
import org.openapitools.client.api.SessionsApi;
import org.openapitools.client.model.BasketItem;
import org.openapitools.client.model.CancelOrderRequest;
import org.openapitools.client.model.CatalogProduct;
import org.openapitools.client.model.CheckOrderRequest;
import org.openapitools.client.model.ConfirmOrderRequest;
import org.openapitools.client.model.Order;
import org.openapitools.client.model.OrderCheck;
import org.openapitools.client.model.Session;
import org.openapitools.client.model.SignInRequest;

public class Main {
    public static void main(String[] arguments) throws Exception {
        ApiClient client = new ApiClient();
        client.updateBaseUri(System.getenv("BASE_URL"));
        SignInRequest credentials =
            new SignInRequest().email(System.getenv("EMAIL")).password(System.getenv("PASSWORD"));
        Session session = new SessionsApi(client).signIn(credentials);
        client.setRequestInterceptor(
            request -> request.header("Authorization", "Bearer " + session.getAccessToken()));
        CatalogProduct product =
            new CatalogApi(client).listCatalog(null, null, 1L, null, null, null)
                .getItems().get(0).getProducts().get(0);
        OrdersApi orders = new OrdersApi(client);
        OrderCheck check = orders.checkOrder(
            new CheckOrderRequest()
                .partnerId(1L)
                .items(List.of(new BasketItem().productId(product.getId()).quantity(2)))
                .totalAmount(2 * product.getPrice())
                .bankId("visa")
                .deliveryAddress("1 Long Street"));
        ConfirmOrderRequest request = new ConfirmOrderRequest().checkId(check.getCheckId());
        Order order = orders.getOrder(orders.confirmOrder(request, null).getOrder().getId());
        orders.cancelOrder(order.getId(), new CancelOrderRequest());
        Map<String, Object> result = new LinkedHashMap<>();
        result.put("status", order.getStatus().getValue());
        result.put("events", readEvents(client, session, order));
        result.put("ended", orders.watchOrderWithHttpInfo(order.getId(), "2").getStatusCode());
        System.out.println(client.getObjectMapper().writeValueAsString(result));
    }

    // The generated method reads every body as JSON; the HTTP client reads an event stream.
    private static String readEvents(ApiClient client, Session session, Order order) throws Exception {
        HttpRequest request =
            HttpRequest.newBuilder(URI.create(client.getBaseUri() + "/orders/" + order.getId() + "/events"))
                .header("Authorization", "Bearer " + session.getAccessToken())
                .header("Last-Event-ID", "1")
                .build();
        return client.getHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body();
    }
}
