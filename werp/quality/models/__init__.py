"""The models the package carries: `<name>.ftz` beside `<name>.card.json`, what each was made of."""
