/** All products of one partner. */
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";

import { shared } from "../../shared/messages";
import { getItems } from "../../shared/paging";
import { MoreButton, Page, QueryView } from "../../shared/ui";
import { m } from "../messages";
import { partnerQuery, productsQuery } from "../queries";
import { PartnerHeader, Products } from "./catalog";

export function PartnerPage() {
  const partnerId = Number(useParams({ from: "/partners/$partnerId" }).partnerId);
  const partner = useQuery(partnerQuery(partnerId));
  const products = useInfiniteQuery(productsQuery(partnerId, {}));
  return (
    <Page title={partner.data?.title ?? m.catalog}>
      <QueryView query={partner}>
        {(data) =>
          data === null ? (
            <p>{shared.pageNotFound}</p>
          ) : (
            <>
              <PartnerHeader partner={data} />
              <Products partner={data} products={getItems(products.data)} />
              <MoreButton query={products} />
            </>
          )
        }
      </QueryView>
    </Page>
  );
}
