/** What an operator is told of while it lasts. */
export const promotionTopics = {
  engine: 'promotion.engine',
  hooks: 'promotion.hooks',
  strays: 'promotion.stray_keys',
} as const;
