use expect_test::expect;
use quote::quote;

use crate::projection::attribute;
use crate::shared::testing::{pretty, refused};

#[test]
fn a_projection() {
    let expansion = attribute(
        quote!(
            name = "balances",
            interested_in = [Paid],
            stream = "account-42",
            version = 2,
            consistency = strong,
            inline,
            partition_by = account,
            rebuild_partitions = 8
        ),
        quote! {
            impl Balances {
                fn rows(&self) -> &PostgresRows { &self.rows }
                async fn create(&self, rows: &mut PgConnection) -> Result<(), sqlx::Error> { body }
                async fn on_paid(&self, event: &Paid, context: &ProjectionContext, rows: &mut PgConnection) -> Result<(), sqlx::Error> { body }
                fn on_error(&self, failure: &ProjectionFailure<sqlx::Error>) -> ErrorAction { body }
            }
        },
    );
    let text = pretty(&expansion);
    let of_trait = &text[text.find("impl ::cqrs::projection::Projection").expect("an impl")..];
    expect![[r#"
        impl ::cqrs::projection::Projection for Balances {
                const NAME: &'static str = "balances";
                const VERSION: u32 = 2;
                const CONSISTENCY: ::cqrs::handler::HandlerConsistency = ::cqrs::handler::HandlerConsistency::Strong;
                const INLINE: bool = true;
                const SUBSCRIBE_TO: ::cqrs::handler::SubscribeTo = ::cqrs::handler::SubscribeTo::Stream(
                    "account-42",
                );
                const REBUILD_PARTITIONS: u16 = 8;
                type Event = __Event;
                type Rows = PostgresRows;
                type Error = sqlx::Error;
                fn rows(&self) -> &Self::Rows {
                    Self::rows(self)
                }
                async fn create(
                    &self,
                    __rows: &mut <<Self as ::cqrs::projection::Projection>::Rows as ::cqrs::projection::RowStore>::Connection,
                ) -> ::core::result::Result<
                    (),
                    <Self as ::cqrs::projection::Projection>::Error,
                > {
                    Self::create(self, __rows).await.map_err(::core::convert::Into::into)
                }
                async fn handle(
                    &self,
                    __event: &__Event,
                    __rows: &mut <<Self as ::cqrs::projection::Projection>::Rows as ::cqrs::projection::RowStore>::Connection,
                    __context: &::cqrs::projection::ProjectionContext,
                ) -> ::core::result::Result<
                    (),
                    <Self as ::cqrs::projection::Projection>::Error,
                > {
                    match *__event {
                        __Event::Paid(ref __event) => {
                            Self::on_paid(self, __event, __context, __rows)
                                .await
                                .map_err(::core::convert::Into::into)
                        }
                    }
                }
                fn partition_by(
                    &self,
                    __event: &__Event,
                    _: &::cqrs::projection::ProjectionContext,
                ) -> ::std::string::String {
                    match __event {
                        __Event::Paid(__event) => {
                            ::std::string::ToString::to_string(&__event.account)
                        }
                    }
                }
                async fn on_error(
                    &self,
                    __failure: &::cqrs::projection::ProjectionFailure<
                        <Self as ::cqrs::projection::Projection>::Error,
                    >,
                ) -> ::cqrs::handler::ErrorAction {
                    Self::on_error(self, __failure)
                }
            }
        };
    "#]].assert_eq(of_trait);
}

#[test]
fn a_projection_of_batches() {
    let expansion = attribute(
        quote!(name = "balances", events = BalanceEvent),
        quote! {
            impl Balances {
                fn rows(&self) -> &MemoryRows<u8, u8> { &self.rows }
                fn on_batch(&self, events: &[Projected<BalanceEvent>], rows: &mut RowsMut<u8, u8>) {}
            }
        },
    );
    let text = pretty(&expansion);
    let of_trait = &text[text.find("impl ::cqrs::projection::Projection").expect("an impl")..];
    expect![[r#"
        impl ::cqrs::projection::Projection for Balances {
                const NAME: &'static str = "balances";
                type Event = BalanceEvent;
                type Rows = MemoryRows<u8, u8>;
                type Error = ::core::convert::Infallible;
                fn rows(&self) -> &Self::Rows {
                    Self::rows(self)
                }
                async fn handle(
                    &self,
                    __event: &BalanceEvent,
                    __rows: &mut <<Self as ::cqrs::projection::Projection>::Rows as ::cqrs::projection::RowStore>::Connection,
                    __context: &::cqrs::projection::ProjectionContext,
                ) -> ::core::result::Result<
                    (),
                    <Self as ::cqrs::projection::Projection>::Error,
                > {
                    let __one = ::cqrs::projection::Projected::new(
                        ::core::clone::Clone::clone(__event),
                        ::core::clone::Clone::clone(__context),
                    );
                    let __one = [__one];
                    ::cqrs::projection::Projection::handle_batch(self, &__one, __rows).await
                }
                async fn handle_batch(
                    &self,
                    __events: &[::cqrs::projection::Projected<BalanceEvent>],
                    __rows: &mut <<Self as ::cqrs::projection::Projection>::Rows as ::cqrs::projection::RowStore>::Connection,
                ) -> ::core::result::Result<
                    (),
                    <Self as ::cqrs::projection::Projection>::Error,
                > {
                    Self::on_batch(self, __events, __rows);
                    ::core::result::Result::Ok(())
                }
            }
        };
    "#]].assert_eq(of_trait);
}

#[test]
fn mistakes() {
    refused(
        &attribute(
            quote!(nam = "balances", version = "2", interested_in = [Paid]),
            quote!(impl Balances { fn rows(&self) -> &Rows { &self.rows } }),
        ),
        &[
            "unknown projection key `nam`, expected `name`, `version`, `interested_in`, `events`, `category`, `stream`, `consistency`, `inline`, `partition_by`, `rebuild_partitions`, `error` or `crate`",
            "expected a version: a whole number from 1",
            "the projection lacks `name`: add `#[projection(name = \"balances\")]`",
            "no method handles `Paid`: add `async fn on_paid(&self, event: &Paid, rows: &mut ..)`",
        ],
    );
    refused(
        &attribute(
            quote!(name = "balances", events = E),
            quote!(impl Balances { fn on_paid(&self, event: &Paid) {} }),
        ),
        &[
            "no method takes the events: add `async fn on_batch(&self, events: &[Projected<Events>], rows: &mut ..) -> Result<(), Error>`",
            "`on_paid` is never called: with `events`, all events come to `on_batch`",
            "the projection lacks the method `rows`, which tells where its rows lie: add `fn rows(&self) -> &MemoryRows<Key, Row> { &self.rows }`, or one with another type",
        ],
    );
}
