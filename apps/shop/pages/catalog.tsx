/** Catalog: partners with their products, search and categories. */
import { keepPreviousData, useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";
import { Input, Label, SearchField } from "react-aria-components";

import { resolveUrl, type Schemas } from "../../shared/api";
import { formatAmount, formatDateTime } from "../../shared/format";
import { getItems } from "../../shared/paging";
import { Button, Dialog, MoreButton, Page } from "../../shared/ui";
import { addProduct, basket, isOtherBasket } from "../basket";
import { m } from "../messages";
import { type CatalogFilter, catalogQuery } from "../queries";

type Partner = Schemas["CatalogPartner"];
type Product = Schemas["CatalogProduct"];

export function CatalogPage() {
  const filter: CatalogFilter = useSearch({ from: "/" });
  const navigate = useNavigate({ from: "/" });
  const query = useInfiniteQuery({ ...catalogQuery(filter), placeholderData: keepPreviousData });
  const partners = getItems(query.data);
  return (
    <Page title={m.catalog}>
      <SearchField
        className="field search"
        defaultValue={filter.q ?? ""}
        onSubmit={(text) => void navigate({ search: clean({ ...filter, q: text.trim() }) })}
        onClear={() => void navigate({ search: clean({ ...filter, q: "" }) })}
      >
        <Label>{m.search}</Label>
        <Input />
      </SearchField>
      <Categories products={partners.flatMap(({ products }) => products)} filter={filter} />
      {query.isSuccess && partners.length === 0 && <p role="status">{m.noPartners}</p>}
      {partners.map((partner) => (
        <section key={partner.id} className="partner" aria-labelledby={`partner-${partner.id}`}>
          <PartnerHeader partner={partner} />
          <Products partner={partner} products={partner.products} />
          {partner.products_truncated && (
            <Link className="button" to="/partners/$partnerId" params={{ partnerId: String(partner.id) }}>
              {m.allProducts(partner.title)}
            </Link>
          )}
        </section>
      ))}
      <MoreButton query={query} />
    </Page>
  );
}

/** Returns the filter without empty values, so that the address has only those that are set. */
function clean(filter: CatalogFilter): CatalogFilter {
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value));
}

/** Links that filter by category; the categories are those of the loaded products. */
function Categories({ products, filter }: { products: Product[]; filter: CatalogFilter }) {
  const names = new Set(products.flatMap(({ category }) => category ?? []));
  if (filter.category !== undefined) names.add(filter.category);
  if (names.size === 0) return null;
  return (
    <nav className="categories" aria-label={m.categories}>
      {[undefined, ...[...names].sort()].map((category) => (
        <Link
          key={category ?? ""}
          to="/"
          search={clean({ ...filter, category })}
          activeOptions={{ exact: true, includeSearch: true }}
        >
          {category ?? m.allCategories}
        </Link>
      ))}
    </nav>
  );
}

export function PartnerHeader({ partner }: { partner: Partner }) {
  const { picture_url, delivery_fee = 0, delivery_fee_currency } = partner;
  const opens = partner.opens_at === undefined ? m.closed : m.closedUntil(formatDateTime(partner.opens_at));
  return (
    <header className="partner-header">
      {picture_url !== undefined && <img src={resolveUrl(picture_url)} alt="" width="72" height="72" />}
      <div>
        <h2 id={`partner-${partner.id}`}>
          <Link to="/partners/$partnerId" params={{ partnerId: String(partner.id) }}>
            {partner.title}
          </Link>
        </h2>
        <p className="dim">{partner.address}</p>
        <p className="dim">
          {delivery_fee > 0 && delivery_fee_currency !== undefined
            ? `${m.deliveryFee} ${formatAmount(delivery_fee, delivery_fee_currency)}`
            : m.freeDelivery}
        </p>
        {partner.is_open === false && <p className="message">{opens}</p>}
      </div>
    </header>
  );
}

/** Cards of products with a button that adds one piece to the basket. */
export function Products({ partner, products }: { partner: Partner; products: Product[] }) {
  const [replacing, setReplacing] = useState<Product>();
  const [added, setAdded] = useState<string>();
  const add = (product: Product): void => {
    addProduct(partner, product);
    setReplacing(undefined);
    setAdded(product.title);
  };
  return (
    <>
      <p className="visually-hidden" role="status">
        {added === undefined ? "" : m.added(added)}
      </p>
      <ul className="products">
        {products.map((product) => (
          <li key={product.id} className="card product">
            {product.picture_url !== undefined && (
              <img src={resolveUrl(product.picture_url)} alt="" width="320" height="200" loading="lazy" />
            )}
            <h3>{product.title}</h3>
            <p className="dim">{product.description}</p>
            <div className="row">
              <strong>{formatAmount(product.price, product.currency)}</strong>
              <Button
                kind="primary"
                aria-label={m.addProduct(product.title)}
                onPress={() => (isOtherBasket(partner, product) ? setReplacing(product) : add(product))}
              >
                {m.add}
              </Button>
            </div>
          </li>
        ))}
      </ul>
      <Dialog title={m.replaceTitle} isOpen={replacing !== undefined} onClose={() => setReplacing(undefined)}>
        <p>{m.replaceText(basket.get()?.partner.title ?? "")}</p>
        <Button kind="primary" onPress={() => replacing && add(replacing)}>
          {m.replace}
        </Button>
      </Dialog>
    </>
  );
}
